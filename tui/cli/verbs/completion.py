"""`completion`: the script that a shell loads; it asks the program for words as they are typed."""

from __future__ import annotations

import click

from tui.cli.call import Call
from tui.cli.outcome import Outcome
from tui.cli.parsing import OneOf, argument, root, verb
from tui.cli.program import COMPLETION_VARIABLE
from tui.cli.version import PROGRAM

SHELLS = ("bash", "zsh", "fish")


@verb("completion", argument("shell", type=OneOf(*SHELLS), metavar="bash|zsh|fish"))
def completion(call: Call, *, shell: str) -> Outcome:  # noqa: ARG001 - no flag changes a script
    from click.shell_completion import get_completion_class  # noqa: PLC0415 - not for help

    if shell not in SHELLS:
        raise click.UsageError(f"There is no script for {shell[:40]!r}: bash, zsh or fish.")
    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101 - all three are click's own
    maker = kind(root(), {}, PROGRAM, COMPLETION_VARIABLE)
    script = (maker.source_template % maker.source_vars()).strip()
    return Outcome(data={"shell": shell, "script": script}, human=lambda _terminal: [script])


COMMANDS = {"completion": completion}

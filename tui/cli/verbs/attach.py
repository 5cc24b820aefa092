"""`session attach`: the real terminal of a session. tmux's own prefix and d leave it."""

from __future__ import annotations

import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

import click

from tui.cli.call import Call
from tui.cli.outcome import Outcome
from tui.cli.parsing import argument, option, verb
from tui.cli.suggestions import SessionName

if TYPE_CHECKING:
    from core.models.execution import Json
    from core.models.session import SessionKey

WAKE_TIMEOUT_S = 60.0
RESTORE_TIMEOUT_S = 10.0


@verb(
    "session attach",
    argument("session", type=SessionName(), metavar="S", required=False),
    option("--read-only", is_flag=True, text="Look, do not type."),
    option("--print-command", is_flag=True, text="Print the command for another terminal."),
)
def attach(call: Call, *, session: str | None, read_only: bool, print_command: bool) -> Outcome:
    if call.json and not print_command:
        raise click.UsageError("session attach has no document; --print-command has one.")
    if not print_command and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError("Attaching needs a terminal; --print-command does not.")
    key = call.session(session).key
    tmux = _tmux()
    call.say(f"session attach: waking Claude in {key.session_id}")
    call.services.chat.wake(key, call.timeout_s(WAKE_TIMEOUT_S))
    if print_command:
        return _printed(call, key, read_only=read_only, tmux=tmux)
    return Outcome(exit=_run(call, key, read_only=read_only, tmux=tmux), is_printed=True)


def _printed(call: Call, key: SessionKey, *, read_only: bool, tmux: str) -> Outcome:
    from tmux_bridge.tmux.attach import attach_argv  # noqa: PLC0415 - only to attach

    argv = attach_argv(call.runtime, key.tmux_name, read_only=read_only, program=tmux)
    data: dict[str, Json] = {
        "user_id": key.user_id, "session_id": key.session_id, "argv": list(argv),
    }  # fmt: skip
    return Outcome(data=data, human=lambda _terminal: [shlex.join(argv)])


def _run(call: Call, key: SessionKey, *, read_only: bool, tmux: str) -> int:
    """The terminal is tmux's until it is left; then the session gets its own size back."""
    from tmux_bridge.tmux import attach as tmux_attach  # noqa: PLC0415 - only to attach

    name, runtime = key.tmux_name, call.runtime
    if tmux_attach.inside_tmux(call.environ):
        argv = tmux_attach.nested_attach_argv(
            runtime, name, environ=call.environ, read_only=read_only, program=tmux
        )
        return _call(argv, dict(call.environ))
    environment = tmux_attach.attach_environment(call.environ)
    call.say("prefix d (Ctrl+b d) leaves; Claude goes on")
    code = _call(
        tmux_attach.attach_argv(runtime, name, read_only=read_only, program=tmux), environment
    )
    if not read_only:
        restore = tmux_attach.restore_argv(runtime, name, program=tmux)
        subprocess.run(
            restore, env=environment, check=False, capture_output=True, timeout=RESTORE_TIMEOUT_S
        )
    return code


def _call(argv: list[str], environment: dict[str, str]) -> int:
    """No time limit: a person sits in it. What tmux says about a fault is on the screen."""
    return 0 if subprocess.run(argv, env=environment, check=False).returncode == 0 else 1


def _tmux() -> str:
    import shutil  # noqa: PLC0415 - not for help

    from core.errors import MissingProgramError  # noqa: PLC0415

    found = shutil.which("tmux")
    if found is None:
        raise MissingProgramError(
            "tmux is not installed, so there is nothing to attach to.",
            remedy="sudo apt-get install tmux (on a Mac: brew install tmux)",
        )
    return found


COMMANDS = {"session attach": attach}

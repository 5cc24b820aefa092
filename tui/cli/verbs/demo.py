"""`demo`: the whole loop with the real Claude CLI and a scripted model."""

from __future__ import annotations

import sys

import click

from tui.cli.call import Call
from tui.cli.outcome import Outcome
from tui.cli.parsing import OneOf, option, verb
from tui.cli.progress import background_work


@verb(
    "demo",
    option("--keep", is_flag=True, text="Leave the session of the demo before."),
    option("--no-tui", is_flag=True, text="Progress on stderr, the URL as last line."),
    option("--port", type=click.IntRange(0, 65535), text="Where the site answers; 0 is any.",
           metavar="N"),
    option("--speed", type=OneOf("slow", "normal", "fast"),
           text="How fast the scripted model answers; slow is for watching it."),
)  # fmt: skip
def demo(
    call: Call, *, keep: bool, no_tui: bool, port: int | None, speed: str | None
) -> Outcome:  # fmt: skip
    """Without `--no-tui` a person in a terminal sees the result in the app."""
    from core.services.choices import speed_of  # noqa: PLC0415 - not for help
    from tui.opening import open_app  # noqa: PLC0415 - not for help
    from tui.wiring import run_demo  # noqa: PLC0415

    pace = speed_of(speed)
    call.terminal.note("demo: the model is scripted; no account and no login is needed")
    opens_app = not (no_tui or call.json or call.plain or call.quiet)
    opens_app = opens_app and sys.stdin.isatty() and sys.stdout.isatty()
    with background_work(call, "What was begun goes on: tmux-builder status."):
        result = run_demo(
            call.services, keep=keep, port=port or None, speed=pace, on_progress=call.say
        )
    if opens_app:
        return Outcome(exit=open_app(lambda: call.services, result.key), is_printed=True)
    data = {**result.document, "simulated": True}
    return Outcome(data=data, human=lambda _terminal: [result.url], result=result.url)


COMMANDS = {"demo": demo}

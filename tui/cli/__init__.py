"""The command line. Importing it is cheap: every verb is loaded when it is called."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.services.services import Services


def main() -> int:
    """Run the program with this process's arguments; returns the exit code."""
    if opens_the_app(sys.argv[1:], os.environ):
        return _open_the_app(os.environ)
    from tui.cli.program import run  # noqa: PLC0415 - other modules of the package need no program

    return run(sys.argv[1:], os.environ)


def opens_the_app(arguments: Sequence[str], environ: Mapping[str, str]) -> bool:
    """Whether this call only opens the app, so that it can paint before a parser is loaded."""
    if list(arguments) not in ([], ["tui"]) or environ.get("TERM") == "dumb":
        return False
    if environ.get("_TMUX_BUILDER_COMPLETE") or environ.get("TMUX_BUILDER_SESSION_DIR"):
        return False
    return all(stream and stream.isatty() for stream in (sys.stdin, sys.stdout))


def _open_the_app(environ: Mapping[str, str]) -> int:
    from tui.opening import open_app  # noqa: PLC0415 - only here

    def build() -> Services:
        from tui.wiring import build_services  # noqa: PLC0415 - behind the first paint

        return build_services(None, None, environ)

    try:
        return open_app(build, None)
    except BaseException as error:  # noqa: BLE001 - handed to the program's own edge
        from tui.cli.program import end_with  # noqa: PLC0415 - only to say it

        return end_with(error, environ)

"""The command line. Importing it is cheap: every verb is loaded when it is called."""

from __future__ import annotations

import os
import sys


def main() -> int:
    """Run the program with this process's arguments; returns the exit code."""
    from tui.cli.program import run  # noqa: PLC0415 - other modules of the package need no program

    return run(sys.argv[1:], os.environ)

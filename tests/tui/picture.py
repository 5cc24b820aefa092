"""Photograph the app for the README: `python -m tests.tui.picture DATA_ROOT [FILE]`.

It opens the real app on a data root in which `tmux-builder demo` has run, goes to the demo's
session and saves what is on the screen as SVG.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
from pathlib import Path

from tui.builder_app import BuilderApp
from tui.ports import Terminal
from tui.wiring import build_services

SIZE = (132, 38)
SETTLE_S = 2.0


async def photograph(data_root: str, file: Path) -> None:
    """Save one picture; the ids in it are those of the demo."""
    services = build_services(data_root, None, os.environ)
    terminal = Terminal(pane_view=None, attach=None, demo=None, environ=dict(os.environ))
    app = BuilderApp(services, terminal)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause(SETTLE_S)
        await pilot.press("j")
        await pilot.pause(SETTLE_S)
        picture = app.export_screenshot(title="tmux-builder")
    file.write_text(without_remote_fonts(picture))


def without_remote_fonts(picture: str) -> str:
    """A picture that asks no server for anything."""
    return re.sub(r"@font-face\s*\{.*?\}", "", picture, flags=re.DOTALL)


if __name__ == "__main__":
    target = Path(sys.argv[2] if len(sys.argv) > 2 else "docs/app.svg")
    asyncio.run(photograph(sys.argv[1], target))

"""Drives the app by keys in a terminal of memory, and reads its screen as text."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, cast

from textual.pilot import Pilot

from tests.tui.fake_services import FakeAttach, FakePane, FakeServices
from tui.builder_app import BuilderApp
from tui.ports import Terminal

if TYPE_CHECKING:
    from core.services.services import Services

DEADLINE_S = 10.0


class Driver:
    """What a person at the terminal can do and see."""

    def __init__(self, app: BuilderApp, pilot: Pilot[None], services: FakeServices) -> None:
        self.app = app
        self.pilot = pilot
        self.services = services

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)

    async def type(self, text: str) -> None:
        names = {
            " ": "space",
            "@": "at",
            ".": "full_stop",
            "+": "plus",
            "\\": "backslash",
            "_": "underscore",
        }
        await self.pilot.press(*(names.get(letter, letter) for letter in text))

    def text(self) -> str:
        """The screen as text, row by row."""
        width, height = self.app.size
        rows = self.app.screen._compositor.render_strips()
        return "\n".join(row.text[:width] for row in rows[:height])

    async def wait(self, condition: Callable[[], object], what: str) -> None:
        """Until it holds; the failure shows the screen."""
        end = asyncio.get_running_loop().time() + DEADLINE_S
        while not condition():
            if asyncio.get_running_loop().time() > end:
                message = f"never: {what}\n{self.text()}"
                raise AssertionError(message)
            await self.pilot.pause(0.02)

    async def wait_text(self, wanted: str) -> None:
        await self.wait(lambda: wanted in self.text(), f"{wanted!r} on the screen")

    async def wait_call(self, name: str) -> tuple[object, ...]:
        """The first call of that name, as soon as it was made."""
        calls = self.services.calls
        await self.wait(lambda: any(call[0] == name for call in calls), f"the call {name}")
        return next(call for call in calls if call[0] == name)


@asynccontextmanager
async def running(
    services: FakeServices, size: tuple[int, int] = (120, 35), *, ready: str | None = "@"
) -> AsyncIterator[Driver]:
    """The app on these services; `ready` is a text to wait for before the test begins."""
    app = BuilderApp(
        cast("Services", services),
        Terminal(pane_view=FakePane(), attach=FakeAttach(), demo=lambda: services.asked("demo")),
        changes=services.changes,
    )
    async with app.run_test(size=size) as pilot:
        driver = Driver(app, pilot, services)
        if ready is not None:
            await driver.wait_text(ready)
        yield driver

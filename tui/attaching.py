"""Gives the terminal to another program and takes it back."""

from __future__ import annotations

import asyncio
import shlex
from typing import TYPE_CHECKING

from textual.app import App, SuspendNotSupported

from core.errors import MissingProgramError

if TYPE_CHECKING:
    from tui.ports import AttachCommand

WINDOW_TIMEOUT_S = 10.0


async def show_terminal(app: App[None], command: AttachCommand) -> str:
    """Run the attach command and return when its terminal is left; says what happened.

    The event loop goes on meanwhile, so that feeds and connections stay alive.

    Raises:
        MissingProgramError: This terminal cannot be given away, or the program is not there.
    """
    if not command.takes_terminal:
        await _run(command, within_s=WINDOW_TIMEOUT_S)
        return f"the terminal is open beside this one. {command.hint}"
    try:
        with app.suspend():
            problem = await _run_here(command)
    except SuspendNotSupported as error:
        raise MissingProgramError(
            "This terminal cannot be given to another program.",
            remedy=f"Run it in another one: {shlex.join(command.argv)}",
        ) from error
    if problem is not None:
        raise MissingProgramError(problem, remedy=shlex.join(command.argv))
    return "back from the real terminal"


async def _run_here(command: AttachCommand) -> str | None:
    """Never raises: leaving the suspension by an exception would lose the terminal."""
    try:
        code = await _run(command, within_s=None)
    except (OSError, ValueError) as error:
        return f"The terminal could not be opened: {error}."
    return None if code == 0 else f"The terminal was left with exit code {code}."


async def _run(command: AttachCommand, *, within_s: float | None) -> int:
    process = await asyncio.create_subprocess_exec(
        *command.argv, env=dict(command.environment) or None
    )
    try:
        return await asyncio.wait_for(process.wait(), within_s)
    except (TimeoutError, asyncio.CancelledError):
        process.terminate()
        raise

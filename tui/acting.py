"""How a key's action reaches the method that does it."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any, ClassVar

from textual.app import App
from textual.dom import DOMNode
from textual.screen import Screen
from textual.widget import Widget

from tui.actions import Scope, is_letter, of_scopes


class Acting(DOMNode):
    """A part of the app with rows of the action table; `do_<id>` does the action of that id."""

    SCOPES: ClassVar[tuple[Scope, ...]] = ()

    async def action_act(self, action_id: str, key: str) -> None:
        method = getattr(self, f"do_{action_id}")
        outcome = method(key) if "key" in inspect.signature(method).parameters else method()
        if inspect.isawaitable(outcome):
            await outcome

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A key belongs to the focused part first: as text, or by a row of its own."""
        if action == "act" and isinstance(self, Screen | App):
            screen = self.screen if isinstance(self, App) else self
            key = str(parameters[1])
            if is_letter(key) and takes_letters(screen.focused):
                return False
            return key not in keys_below(screen)
        return super().check_action(action, parameters)


def takes_letters(widget: Widget | None) -> bool:
    """Whether what is typed becomes text of this widget."""
    return widget is not None and widget.check_consume_key("x", "x")


def parts_with_focus(screen: Screen[Any]) -> Iterable[Acting]:
    """The focused widget and what holds it, innermost first, without the screen."""
    if screen.focused is None:
        return ()
    return (
        node
        for node in screen.focused.ancestors_with_self
        if isinstance(node, Acting) and not isinstance(node, Screen | App)
    )


def keys_below(screen: Screen[Any]) -> set[str]:
    """Keys that the focused part of a screen keeps for itself."""
    return {
        key
        for part in parts_with_focus(screen)
        for action in of_scopes(part.SCOPES)
        for key in action.keys.split(",")
    }


def active_scopes(screen: Screen[Any]) -> list[Scope]:
    """Scopes whose keys work now, innermost first."""
    inner = [scope for part in parts_with_focus(screen) for scope in part.SCOPES]
    outer = [*getattr(screen, "SCOPES", ()), *getattr(screen.app, "SCOPES", ())]
    return list(dict.fromkeys([*inner, *outer]))

"""What the footer says: the keys that work where the focus is, and nothing that does not."""

from __future__ import annotations

from typing import Any, NamedTuple

from textual.screen import Screen
from textual.widget import Widget

from tui.acting import active_scopes, takes_letters
from tui.actions import BY_ID, Action, is_letter, of_scopes, shown_key
from tui.situation import Situation


class Hint(NamedTuple):
    """One key of the footer."""

    keys: str
    label: str
    is_possible: bool
    rank: int


def hints(screen: Screen[Any], now: Situation) -> list[Hint]:
    """Best first. While a text field takes the letters, only other keys are named."""
    actions = [action for action in of_scopes(active_scopes(screen)) if action.footer]
    focused = screen.focused
    if takes_letters(focused):
        actions.append(BY_ID["back"])
    made = [_hint(action, focused, now) for action in actions]
    return sorted((hint for hint in made if hint is not None), key=lambda hint: hint.rank)


def _hint(action: Action, focused: Widget | None, now: Situation) -> Hint | None:
    keys = action.keys.split(",")
    own = getattr(focused, "SCOPES", ())
    if takes_letters(focused) and action.scope not in own:
        keys = [key for key in keys if not is_letter(key)]
    if not keys:
        return None
    text = action.hint if keys[0] == action.keys.split(",")[0] else shown_key(keys[0])
    is_possible = action.reason is None or action.reason(now) is None
    return Hint(text, action.label, is_possible, action.footer or 4)

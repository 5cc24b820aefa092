"""The colours of the app, each defined once: as style variables and as ink for drawn lines."""

from __future__ import annotations

from rich.style import Style
from textual.theme import Theme

GROUND_HEX = "#10141a"
RAISED_HEX = "#161b23"
LINE_HEX = "#2b3543"
TEXT_HEX = "#cdd6e0"
MUTED_HEX = "#8b98a8"
FAINT_HEX = "#5f6b7a"
SELECTED_HEX = "#202a37"
SELECTED_QUIET_HEX = "#1a212b"
ACCENT_HEX = "#7fb8d4"
GOOD_HEX = "#93c47d"
WARN_HEX = "#e6b566"
BAD_HEX = "#e88080"
CLAUDE_HEX = "#d8a182"
YOU_HEX = "#a9bfe8"
CODE_HEX = "#a8c9a1"


class Ink:
    """Styles for drawn lines. They set no background, so that a selected row shows through."""

    TEXT = Style(color=TEXT_HEX)
    STRONG = Style(color=TEXT_HEX, bold=True)
    MUTED = Style(color=MUTED_HEX)
    FAINT = Style(color=FAINT_HEX)
    ACCENT = Style(color=ACCENT_HEX)
    TITLE = Style(color=ACCENT_HEX, bold=True)
    GOOD = Style(color=GOOD_HEX)
    WARN = Style(color=WARN_HEX)
    WARN_STRONG = Style(color=WARN_HEX, bold=True)
    BAD = Style(color=BAD_HEX)
    BAD_STRONG = Style(color=BAD_HEX, bold=True)
    CLAUDE = Style(color=CLAUDE_HEX, bold=True)
    YOU = Style(color=YOU_HEX, bold=True)
    YOU_TEXT = Style(color=YOU_HEX)
    CODE = Style(color=CODE_HEX)
    NONE = Style()


THEME = Theme(
    name="tmux-builder",
    primary=ACCENT_HEX,
    secondary=CLAUDE_HEX,
    accent=ACCENT_HEX,
    warning=WARN_HEX,
    error=BAD_HEX,
    success=GOOD_HEX,
    foreground=TEXT_HEX,
    background=GROUND_HEX,
    surface=RAISED_HEX,
    panel=RAISED_HEX,
    boost=SELECTED_HEX,
    dark=True,
    variables={
        "line": LINE_HEX,
        "muted": MUTED_HEX,
        "faint": FAINT_HEX,
        "selected": SELECTED_HEX,
        "scrollbar": LINE_HEX,
        "scrollbar-hover": FAINT_HEX,
        "scrollbar-active": ACCENT_HEX,
        "scrollbar-background": GROUND_HEX,
        "scrollbar-background-hover": GROUND_HEX,
        "scrollbar-background-active": GROUND_HEX,
        "scrollbar-corner-color": GROUND_HEX,
        "border": ACCENT_HEX,
        "border-blurred": LINE_HEX,
        "block-cursor-text-style": "none",
        "input-selection-background": "#355069",
    },
)

"""Text on its way into tmux: what is taken out of it, and how the rest survives both parsers.

tmux has two: one for control-mode lines, where double quotes expand `\\`, `$`, `~` and end at a
quote, and one for argument lists, where a trailing `;` separates commands.
"""

from __future__ import annotations

import re

from core.errors import UsageError

TAB = " " * 4
_CONTROL = {code: None for code in (*range(0x20), *range(0x7F, 0xA0)) if code != 0x0A}
_SURROGATES = dict.fromkeys(range(0xD800, 0xE000), "\ufffd")
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "$": "\\$", "~": "\\~", "\n": "\\n"})
_NAME = re.compile(r"[A-Za-z0-9_-]{1,100}")
_PANE = re.compile(r"%\d{1,9}")


def sanitise(text: str) -> str:
    """Text that can neither press a key nor leave the paste frame.

    Tabs become four spaces, every line end becomes a newline, all other control characters (C0,
    DEL, C1) are removed: `ESC [201~` inside a paste would end its frame.
    """
    lines = text.replace("\t", TAB).replace("\r\n", "\n").replace("\r", "\n")
    return lines.translate(_CONTROL).translate(_SURROGATES)


def quoted(text: str) -> str:
    """`text` as one double-quoted word of a control-mode line, byte for byte."""
    return f'"{text.translate(_ESCAPES)}"'


def argument(value: str) -> str:
    """`value` as one argument of the tmux program, which reads a trailing `;` as a separator."""
    return f"{value[:-1]}\\;" if value.endswith(";") else value


def checked_name(name: str) -> str:
    """A session or buffer name made from ids only.

    Raises:
        UsageError: It holds something that tmux would expand, rename or match by prefix.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot be a name in tmux.",
            remedy="Use letters, digits, underscores and dashes only.",
        )
    return name


def checked_pane(pane_id: str) -> str:
    """A pane's id such as `%7`.

    Raises:
        UsageError: It is not one.
    """
    if not _PANE.fullmatch(pane_id):
        raise UsageError(
            f"{pane_id!r} is not a pane of tmux.", remedy="Pass the pane's id, such as %7."
        )
    return pane_id

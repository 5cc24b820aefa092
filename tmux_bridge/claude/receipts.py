"""What is typed for a text, and when a prompt that Claude reports is that text.

Pure rules of the CLI's composer: some first characters make it run a command, some last ones keep
it from sending, and it changes white space on its way.
"""

from __future__ import annotations

import re
import unicodedata

PASTE_LIMIT_BYTES = 10_240
"""Longer wishes go into a file of `prompts/` and one pasted line names it."""

_TAB = "    "
_GUARD = ". "
_PASTED = re.compile(r"\n*<pasted_content[^>]*>\n?(.*?)\n?</pasted_content[^>]*>\n?", re.DOTALL)
_QUIT_WORDS = frozenset({"exit", "quit", ":q", ":q!", ":wq", ":wq!"})
_LINE_ENDS = re.compile(r"\r\n|\r|\u2028|\u2029|\x85|\x0b|\x0c")


def escape_for_prompt(text: str) -> str:
    """The text as it is pasted: the same words, and nothing in them is a command or a key.

    A leading `/` or `!` and a lone quit word get `. ` in front; a trailing backslash gets a space
    behind; tabs become four spaces; control characters are dropped.
    """
    plain = sanitise(text)
    if plain.startswith(("/", "!")) or plain.lower() in _QUIT_WORDS:
        plain = _GUARD + plain
    return f"{plain} " if plain.endswith("\\") else plain


def sanitise(text: str) -> str:
    """One spelling of line ends, no tabs, no control characters, no white space at the ends.

    A text of nothing but these is empty: there is nothing to send.
    """
    lines = _LINE_ENDS.sub("\n", text).replace("\t", _TAB)
    kept = "".join(char for char in lines if char == "\n" or not _is_control(char))
    return unicodedata.normalize("NFC", kept).strip()


def needs_file(text: str) -> bool:
    """Whether the text is too long to be pasted."""
    return len(text.encode()) > PASTE_LIMIT_BYTES


def normalise(text: str) -> str:
    """The form in which a sent and a reported text are compared."""
    unwrapped = _PASTED.sub(lambda found: found[1], text)
    spaced = _LINE_ENDS.sub("\n", unwrapped).replace("\t", _TAB)
    lines = (line.rstrip() for line in unicodedata.normalize("NFC", spaced).split("\n"))
    return "\n".join(lines).strip()


def is_receipt(sent: str, reported: str | None) -> bool:
    """Whether the prompt that Claude reports is the text that was pasted."""
    return reported is not None and normalise(sent) == normalise(reported)


def without_escape(text: str) -> str:
    """The words that a person typed, for the chat: without the product's guard and wrapping."""
    plain = normalise(text)
    rest = plain.removeprefix(_GUARD)
    guarded = rest.startswith(("/", "!")) or rest.lower() in _QUIT_WORDS
    return rest if rest != plain and guarded else plain


def _is_control(char: str) -> bool:
    return unicodedata.category(char) in {"Cc", "Cs"}

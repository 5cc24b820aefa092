"""What is typed for a text, and when a prompt that Claude reports is that text.

Pure rules of the CLI's composer: some first characters make it run a command, some last ones keep
it from sending, it changes white space on its way, and where it takes invisible characters out it
waits for a second Enter.
"""

from __future__ import annotations

import re
import unicodedata

from tmux_bridge.tmux.quoting import TAB, sanitise

PASTE_LIMIT_BYTES = 10_240
"""Longer wishes go into a file of `prompts/` and one pasted line names it."""

_GUARD = ". "
_PASTED = re.compile(r"\n*<pasted_content[^>]*>\n?(.*?)\n?</pasted_content[^>]*>\n?", re.DOTALL)
_UNTAGGED = re.compile(r"<\\(?=/?pasted_content)")
_QUIT_WORDS = frozenset({"exit", "quit", ":q", ":q!", ":wq", ":wq!"})
_LINE_ENDS = re.compile(r"\r\n|\r|\u2028|\u2029|\x85|\x0b|\x0c")
_INVISIBLE = re.compile(
    "[\\u00ad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u200b-\\u200f"
    "\\u202a-\\u202e\\u2060-\\u206f\\u3164\\ufe00-\\ufe0f\\ufeff\\uffa0\\ufff9-\\ufffb"
    "\\U0001bca0-\\U0001bca3\\U0001d173-\\U0001d17a\\U000e0000-\\U000e0fff]"
)
_MEANT = re.compile(
    "(?<=[^\\x00-\\xa0])(?:[\\ufe0e\\ufe0f]|[\\u200c\\u200d](?=\\S))"  # emoji, joined letters
    "|(?<=[0-9#*])\\ufe0f(?=\\u20e3)"  # key caps
    "|(?<=\\U0001f3f4)[\\U000e0020-\\U000e007f]+"  # flags of regions
)


def escape_for_prompt(text: str) -> str:
    """The text as it is pasted: the same words, and nothing in them is a command or a key.

    A leading `/` or `!` and a lone quit word get `. ` in front; a trailing backslash gets a space
    behind; tabs become four spaces; control characters and invisible ones that join nothing are
    dropped.
    """
    plain = plain_text(text)
    bare = _INVISIBLE.sub("", plain)
    if bare.startswith(("/", "!")) or bare.lower() in _QUIT_WORDS:
        plain = _GUARD + plain
    return f"{plain} " if bare.endswith("\\") else plain


def plain_text(text: str) -> str:
    """The text as a prompt: one spelling of line ends and letters, no white space at the ends.

    A text of nothing but control, invisible and white characters is empty: there is nothing to
    send.
    """
    lines = sanitise(_LINE_ENDS.sub("\n", text))
    plain = unicodedata.normalize("NFC", _without_invisible(lines)).strip()
    return plain if _INVISIBLE.sub("", plain).strip() else ""


def needs_file(text: str) -> bool:
    """Whether the text is too long to be pasted."""
    return len(text.encode()) > PASTE_LIMIT_BYTES


def normalise(text: str) -> str:
    """The form in which a sent and a reported text are compared."""
    return _levelled(_unwrapped(text))


def is_receipt(sent: str, reported: str | None) -> bool:
    """Whether the prompt that Claude reports is the text that was pasted."""
    return reported is not None and normalise(reported) in {normalise(sent), _levelled(sent)}


def without_escape(text: str) -> str:
    """The words that a person typed, for the chat: without the product's guard and wrapping."""
    plain = _UNTAGGED.sub("<", _unwrapped(text))
    plain = "\n".join(line.rstrip() for line in _LINE_ENDS.sub("\n", plain).split("\n")).strip()
    rest = plain.removeprefix(_GUARD)
    guarded = rest.startswith(("/", "!")) or rest.lower() in _QUIT_WORDS
    return rest if rest != plain and guarded else plain


def _unwrapped(text: str) -> str:
    """Without the tags that the CLI puts around a long paste."""
    return _PASTED.sub(lambda found: found[1], text)


def _levelled(text: str) -> str:
    visible = _UNTAGGED.sub("<", _INVISIBLE.sub("", text))
    spaced = _LINE_ENDS.sub("\n", visible).replace("\t", TAB)
    lines = (line.rstrip() for line in unicodedata.normalize("NFC", spaced).split("\n"))
    return "\n".join(lines).strip()


def _without_invisible(text: str) -> str:
    """Without what the CLI takes out; what shapes an emoji or a script's letters stays."""
    meant = {index for found in _MEANT.finditer(text) for index in range(*found.span())}
    return "".join(
        char for index, char in enumerate(text)
        if index in meant or _INVISIBLE.match(char) is None
    )  # fmt: skip

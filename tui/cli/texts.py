"""Texts that a person hands in: as an argument, from a file, or on stdin."""

from __future__ import annotations

import sys
from pathlib import Path

from core.errors import NotFoundError, UsageError

TEXT_LIMIT_BYTES = 4_000_000
STDIN = "-"


def read_text(source: str) -> str:
    """The text of a file, or of stdin for `-`, word for word.

    Raises:
        NotFoundError: There is no such file.
        UsageError: It is too long, unreadable or not UTF-8.
    """
    content = _read_stdin() if source == STDIN else _read_file(source)
    if len(content) > TEXT_LIMIT_BYTES:
        raise UsageError(
            f"The text has more than {TEXT_LIMIT_BYTES} bytes.", remedy="Give a shorter text."
        )
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise UsageError(
            "The text is not UTF-8.", remedy=f"iconv -t utf-8 {source} > text.txt"
        ) from error


def one_text(text: str | None, file: str | None) -> str | None:
    """The text of two ways to give one; `-` as text means stdin.

    Raises:
        UsageError: Both were given.
    """
    if text is not None and file is not None:
        raise UsageError("A text and a file with one were given.", remedy="Give one of the two.")
    if text == STDIN:
        file, text = STDIN, None
    return read_text(file) if file is not None else text


def _read_stdin() -> bytes:
    if sys.stdin is None or sys.stdin.closed:
        return b""
    return sys.stdin.buffer.read(TEXT_LIMIT_BYTES + 1)


def _read_file(name: str) -> bytes:
    try:
        with Path(name).expanduser().open("rb") as stream:
            return stream.read(TEXT_LIMIT_BYTES + 1)
    except FileNotFoundError as error:
        raise NotFoundError(
            f"There is no file {name[:200]!r}.", remedy="Check the file's name."
        ) from error
    except OSError as error:
        raise UsageError(
            f"The file {name[:200]!r} cannot be read: {error.strerror}.",
            remedy="Check the file's name and rights.",
        ) from error

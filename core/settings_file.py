"""Changes one key of a settings file and leaves every other line as a person wrote it."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

from core.config import SETTINGS, checked, read_settings_file
from core.errors import UsageError
from core.files import make_private_folder, write_atomically

_SECTION = re.compile(r"\s*\[\s*([A-Za-z0-9_.-]+)\s*\]\s*(?:#.*)?")


def set_setting(file: Path, key: str, text: str) -> None:
    """Write `key = text` into the file, which is made where it is missing.

    Args:
        text: As a person types it: `15m`, `3`, `true`, or a TOML table.

    Raises:
        UsageError: The key is unknown, does not take the value, or stands in the file in a form
            that only a person can change.
        StorageError: The file cannot be read or written.
    """
    value = _parsed(text)
    try:
        checked(key, value, "config set")
    except UsageError:
        checked(key, text, "config set")
        value = text
    lines = file.read_text().splitlines() if file.is_file() else []
    changed = "\n".join(_with(lines, key, _written(value))) + "\n"
    if _value_of(changed, key) != value:
        raise UsageError(
            f"{key} stands in {file} in a form that cannot be changed from here.",
            remedy=f"Change it by hand in {file}.",
        )
    if not file.parent.is_dir():
        make_private_folder(file.parent)
    write_atomically(file, changed.encode())
    read_settings_file(file)


def unset_setting(file: Path, key: str) -> bool:
    """Take the key's line out of the file; whether it stood there.

    Raises:
        UsageError: The key is unknown, or stands in the file in a form that only a person can
            change.
        StorageError: The file cannot be read or written.
    """
    require_key(key)
    text = file.read_text() if file.is_file() else ""
    if _value_of(text, key) is None:
        return False
    changed = "".join(f"{line}\n" for line in _without(text.splitlines(), key))
    if _value_of(changed, key) is not None or _others(text, key) != _others(changed, key):
        raise UsageError(
            f"{key} stands in {file} in a form that cannot be changed from here.",
            remedy=f"Take it out by hand in {file}.",
        )
    write_atomically(file, changed.encode())
    return True


def require_key(key: str) -> None:
    """Refuse what is no key.

    Raises:
        UsageError: With the nearest one.
    """
    if key not in SETTINGS and not key.startswith("keys."):
        checked(key, "", "config unset")


def _without(lines: list[str], key: str) -> list[str]:
    found = _line_of(lines, key)
    return lines if found is None else [*lines[:found], *lines[found + 1 :]]


def _line_of(lines: list[str], key: str) -> int | None:
    """Where the key stands, in its section or written out in full before any."""
    section, _, name = key.rpartition(".")
    inside = re.compile(rf"\s*{re.escape(name)}\s*=")
    dotted = re.compile(rf"\s*{re.escape(key)}\s*=")
    here = ""
    for number, line in enumerate(lines):
        if match := _SECTION.fullmatch(line):
            here = match[1]
        elif (here == section and inside.match(line)) or (not here and dotted.match(line)):
            return number
    return None


def _others(text: str, key: str) -> object:
    """Everything in the file but this key: an edit of one line must not move another's meaning."""
    try:
        tree: dict[str, object] = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None
    at: object = tree
    *sections, name = key.split(".", 1) if key.startswith("keys.") else key.split(".")
    for part in sections:
        at = at.get(part) if isinstance(at, dict) else None
    if isinstance(at, dict):
        at.pop(name, None)
    return {one: value for one, value in tree.items() if value != {}}


def _with(lines: list[str], key: str, value: str) -> list[str]:
    """The lines with the key's line replaced, or put at the end of its section."""
    section, _, name = key.rpartition(".")
    found = _line_of(lines, key)
    if found is not None:
        word = lines[found].partition("=")[0].strip()
        return [*lines[:found], f"{word} = {value}", *lines[found + 1 :]]
    if not section:
        return [f"{name} = {value}", *lines]
    end = _end_of(lines, section)
    if end is None:
        return [*lines, f"[{section}]", f"{name} = {value}"]
    return [*lines[:end], f"{name} = {value}", *lines[end:]]


def _end_of(lines: list[str], section: str) -> int | None:
    """After the last line of a section that holds anything; None where there is no section."""
    here, end = "", None
    for number, line in enumerate(lines):
        if match := _SECTION.fullmatch(line):
            here = match[1]
        if here == section and line.strip():
            end = number + 1
    return end


def _parsed(text: str) -> object:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _written(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {_written(one)}" for name, one in value.items()) + "}"
    if isinstance(value, (bool, int, float, str)):
        return json.dumps(value)
    raise UsageError("A setting is a word, a number or a table.", remedy="Give one of these.")


def _value_of(text: str, key: str) -> object:
    try:
        found: object = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None
    for part in key.split(".", 1) if key.startswith("keys.") else key.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found

"""Changing one key of a settings file, keeping every other line as the operator wrote it."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from core.config import read_settings_file
from core.errors import UsageError
from core.files import make_private_folder, write_atomically

if TYPE_CHECKING:
    from core.config import Value

_TABLE = re.compile(r"\s*\[\s*([A-Za-z0-9_.\-\" ]+?)\s*\]\s*(?:#.*)?")


def change(file: Path, key: str, value: Value) -> None:
    """Set `key` in `file`, which is made where it is missing.

    Raises:
        UsageError: The file is not TOML, or is written so that one line cannot change it.
        StorageError: It cannot be read or written.
    """
    former = read_settings_file(file) if file.exists() else {}
    text = file.read_text() if file.exists() else ""
    changed = _with_key(text, key, _toml(value))
    if not _says(changed, {**former, key: value}):
        raise UsageError(
            f"The key {key} of {file} cannot be changed by one line.", remedy=f"Edit {file}."
        )
    make_private_folder(file.parent)
    write_atomically(file, changed.encode())


def _with_key(text: str, key: str, value: str) -> str:
    """The text with the key's line replaced, or a new one where the key belongs."""
    lines = text.splitlines()
    table_name, _, name = key.rpartition(".")
    current, insert_at, has_table = "", len(lines), False
    for number, line in enumerate(lines):
        header = _TABLE.fullmatch(line)
        if header is not None:
            insert_at = number if current == "" and not has_table else insert_at
            current = header[1].replace('"', "").replace(" ", "")
            has_table = has_table or current == table_name
            continue
        here = name if current == table_name and table_name else key
        if current in {"", table_name} and re.match(rf"\s*{re.escape(here)}\s*=", line):
            lines[number] = f"{here} = {value}"
            return "\n".join(lines) + "\n"
    if table_name and has_table:
        at = next(n for n, line in enumerate(lines) if _names(line, table_name)) + 1
        lines.insert(at, f"{name} = {value}")
    else:
        lines.insert(insert_at, f"{key} = {value}")
    return "\n".join(lines) + "\n"


def _names(line: str, table_name: str) -> bool:
    header = _TABLE.fullmatch(line)
    return header is not None and header[1].replace('"', "").replace(" ", "") == table_name


def _says(text: str, wanted: Mapping[str, object]) -> bool:
    """Whether the new text means exactly the former keys and the changed one."""
    try:
        return _flat(tomllib.loads(text)) == _flat(dict(wanted))
    except tomllib.TOMLDecodeError:
        return False


def _flat(tree: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in tree.items():
        if isinstance(value, dict):
            found.update(_flat(value, f"{prefix}{name}."))
        else:
            found[f"{prefix}{name}"] = value
    return found


def _toml(value: Value) -> str:
    """JSON's strings, numbers and booleans are TOML's too."""
    if isinstance(value, Mapping):
        parts = ", ".join(f"{name} = {json.dumps(part)}" for name, part in value.items())
        return f"{{ {parts} }}"
    return json.dumps(value)

"""`config show`, `get`, `set`, `unset` and `path`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tui.cli.call import Call
from tui.cli.outcome import Outcome
from tui.cli.parsing import argument, option, verb
from tui.cli.tables import table

if TYPE_CHECKING:
    from pathlib import Path

    from core.config import Settings, Value
    from core.models.execution import Json

_PASSWORD = re.compile(r"(://[^:/@\s]*):[^@\s]*@")


@verb("config show", option("--origin", is_flag=True, text="Where each value came from."))
def show(call: Call, *, origin: bool) -> Outcome:
    settings = call.settings
    keys = sorted(settings.values)
    rows = [(key, shown_value(settings, key), settings.origin(key)) for key in keys]
    columns = 3 if origin else 2
    return Outcome(
        data={
            "settings": [
                {"key": key, "value": _json(value), "origin": where} for key, value, where in rows
            ]
        },
        human=lambda terminal: table(
            ("KEY", "VALUE", "ORIGIN")[:columns],
            [(key, _text(value), where)[:columns] for key, value, where in rows],
            width=terminal.width,
        ),
        records=lambda: [[key, _text(value), where] for key, value, where in rows],
    )


@verb("config get", argument("key"))
def get(call: Call, *, key: str) -> Outcome:
    settings = call.settings
    _require_key(settings, key)
    value = shown_value(settings, key)
    return Outcome(
        data={"key": key, "value": _json(value), "origin": settings.origin(key)},
        human=lambda _terminal: [_text(value)], result=_text(value),
    )  # fmt: skip


@verb("config set", argument("key"), argument("value"))
def set_value(call: Call, *, key: str, value: str) -> Outcome:
    """Into the account's file, or the one that `--config` names."""
    from core.config import checked  # noqa: PLC0415 - not for help
    from core.settings_file import set_setting  # noqa: PLC0415

    wanted = checked(key, value, "config set")
    file = _file(call)
    set_setting(file, key, value)
    return Outcome(
        data={"key": key, "value": _json(_masked(wanted)), "origin": str(file)},
        human=lambda _terminal: [f"{key} = {_text(_masked(wanted))}  ({file})"],
    )


@verb("config unset", argument("key"))
def unset(call: Call, *, key: str) -> Outcome:
    """Back to what a weaker source says, mostly the default."""
    from core.settings_file import unset_setting  # noqa: PLC0415 - not for help

    file = _file(call)
    was_there = unset_setting(file, key)
    said = f"{key} is taken out of {file}" if was_there else f"{key} is not set in {file}"
    return Outcome(
        data={"key": key, "was_set": was_there, "origin": str(file)},
        human=lambda _terminal: [said],
        records=lambda: [[key, str(was_there).lower()]],
    )


@verb("config path")
def path(call: Call) -> Outcome:
    from core.paths import cache_folder, state_folder  # noqa: PLC0415 - not for help

    places: dict[str, Json] = {
        "path": str(_file(call)),
        "data_root": str(call.root.path),
        "runtime": str(call.runtime.path),
        "state": str(state_folder(call.environ)),
        "cache": str(cache_folder(call.environ)),
    }
    return Outcome(
        data=places, human=lambda _terminal: [str(places["path"])],
        records=lambda: [[name, place] for name, place in places.items()],
        result=str(places["path"]),
    )  # fmt: skip


def shown_value(settings: Settings, key: str) -> Value:
    """A value without the password that a store's URL may hold."""
    return _masked(settings.values[key])


def _masked(value: Value) -> Value:
    return _PASSWORD.sub(r"\1:***@", value) if isinstance(value, str) else value


def _require_key(settings: Settings, key: str) -> None:
    """An unknown key is refused with the nearest one."""
    if key not in settings.values:
        from core.config import checked  # noqa: PLC0415 - it has the sentence

        checked(key, "", "config get")
        from core.errors import NotFoundError  # noqa: PLC0415

        raise NotFoundError(f"{key} is not set.", remedy=f"tmux-builder config set {key} VALUE")


def _file(call: Call) -> Path:
    from core.config import account_file  # noqa: PLC0415 - not for help

    return call.config_file or account_file(call.environ)


def _json(value: Value) -> Json:
    return dict(value) if value is not None and not isinstance(value, (str, int, float)) else value


def _text(value: Value) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


COMMANDS = {
    "config show": show,
    "config get": get,
    "config set": set_value,
    "config unset": unset,
    "config path": path,
}

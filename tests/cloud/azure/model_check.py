"""Whether a body is one that the SDK's own models know: no unknown, read-only or missing part.

Azure drops unknown properties silently, so a misspelt one would go unnoticed there.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from enum import Enum
from types import NoneType, UnionType
from typing import Any, ForwardRef, Literal, Union, get_args, get_origin, get_type_hints

_SCALARS = (str, int, float, bool)
_GROWING = ("vmSize",)
"""What Azure adds to faster than the SDK's lists are made."""


def problems(body: Any, model: type, where: str = "") -> Iterator[str]:
    """Sentences about what is wrong with a JSON object as that model."""
    if not isinstance(body, dict):
        yield f"{where or 'the body'} is no object"
        return
    model = _chosen(body, model)
    model({})  # the SDK fills its tables on first use
    fields = {field._rest_name: (name, field) for name, field in _fields(model).items()}
    hints = _hints(model)
    for key, value in body.items():
        place = f"{where}.{key}" if where else key
        if key not in fields:
            yield f"{place} is unknown to {model.__name__}"
            continue
        name, field = fields[key]
        if field._visibility == ["read"]:
            yield f"{place} is read-only"
            continue
        yield from _value_problems(value, hints.get(name, Any), place)


def writable(document: dict[str, Any], model: type) -> dict[str, Any]:
    """What of an answer could be put again: the model's own parts that are not read-only."""
    model = _chosen(document, model)
    model({})
    hints, found = _hints(model), dict[str, Any]()
    for name, field in _fields(model).items():
        key = field._rest_name
        if key in document and field._visibility != ["read"]:
            found[key] = _writable_value(document[key], hints.get(name, Any))
    return found


def _writable_value(value: Any, hint: Any) -> Any:
    models = [one for one in _choices(hint) if _is_model(one)]
    if isinstance(value, dict) and models:
        return writable(value, models[0])
    lists = [one for one in _choices(hint) if get_origin(one) is list]
    if isinstance(value, list) and lists:
        return [_writable_value(item, get_args(lists[0])[0]) for item in value]
    return value


def _fields(model: type) -> dict[str, Any]:
    found: dict[str, Any] = model._attr_to_rest_field  # type: ignore[attr-defined]
    return found


def _hints(model: type) -> dict[str, Any]:
    package = sys.modules[model.__module__.rpartition(".")[0]]
    names = {**vars(sys.modules[model.__module__]), "_models": package}
    return get_type_hints(model, globalns=names)


def _chosen(body: dict[str, Any], model: type) -> type:
    """The subclass that a discriminator in the body names."""
    mapping: dict[Any, type] = getattr(model, "__mapping__", {})
    if not mapping:
        return model
    for value in body.values():
        if isinstance(value, str) and value in mapping:
            return mapping[value]
    return model


def _value_problems(value: Any, hint: Any, place: str) -> Iterator[str]:
    choices = _choices(hint)
    if Any in choices or any(isinstance(one, ForwardRef) for one in choices):
        return
    if value is None:
        return
    lists = [one for one in choices if get_origin(one) is list]
    maps = [one for one in choices if get_origin(one) is dict]
    if isinstance(value, list) and lists:
        for number, item in enumerate(value):
            yield from _value_problems(item, get_args(lists[0])[0], f"{place}[{number}]")
    elif isinstance(value, dict) and maps:
        for key, item in value.items():
            yield from _value_problems(item, get_args(maps[0])[1], f"{place}.{key}")
    elif isinstance(value, dict) and (models := [one for one in choices if _is_model(one)]):
        yield from problems(value, models[0], place)
    else:
        yield from _scalar_problems(value, choices, place)


def _scalar_problems(value: Any, choices: tuple[Any, ...], place: str) -> Iterator[str]:
    enums = [one for one in choices if isinstance(one, type) and issubclass(one, Enum)]
    literals = [str(getattr(item, "value", item)) for one in choices if get_origin(one) is Literal
                for item in get_args(one)]  # fmt: skip
    allowed = [str(member.value) for one in enums for member in one] + literals
    if allowed:
        if str(value) not in allowed and not place.endswith(_GROWING):
            yield f"{place} cannot be {value!r}"
        return
    kinds = tuple(one for one in choices if one in _SCALARS)
    if kinds and (not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds)):
        yield f"{place} is no {kinds[0].__name__}"
    elif not kinds and isinstance(value, (*_SCALARS, list, dict)) and not _takes_text(choices):
        yield f"{place} has the wrong shape"


def _takes_text(choices: tuple[Any, ...]) -> bool:
    """Instants, durations and bytes travel as text."""
    return any(isinstance(one, type) and not _is_model(one) for one in choices)


def _choices(hint: Any) -> tuple[Any, ...]:
    if get_origin(hint) in (Union, UnionType):
        return tuple(
            part for one in get_args(hint) if one is not NoneType for part in _choices(one)
        )
    return (hint,)


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and hasattr(kind, "_deserialize") and hasattr(kind, "as_dict")

"""Adopt before create: look, keep what is ours and right, mend what is ours and wrong, else make.

A PUT says what a resource is as a whole, tags included, so what exists is read first and its tags
are put back as they were.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from core.cloud.retrying import Patience, awaited
from core.hosts.azure.bodies import Document
from core.hosts.azure.site import OPERATION_LASTS_S, AzureSite, refuse_foreign

_GOES_ON = Patience(deadline_s=OPERATION_LASTS_S, interval_s=2.0)
_STABLE = frozenset({"Succeeded", "Failed", "Canceled", ""})


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One resource as it should be.

    Attributes:
        what: As in `Azure could not make {what}`.
        body: What is PUT, without tags.
        get: The SDK's call that reads it.
        begin: The SDK's call that puts a body; long-running where `follows`.
        tags: For what takes tags.
        owned: Whether tags say that it is ours.
        made: Told once it exists, with its tags.
    """

    what: str
    body: Document
    get: Callable[[], Any]
    begin: Callable[[Document], Any]
    tags: Mapping[str, str] | None = None
    owned: Callable[[Mapping[str, str]], bool] = lambda _tags: True
    made: Callable[[Mapping[str, str]], None] = lambda _tags: None


def ensure(site: AzureSite, part: Part) -> Document:
    """The resource as it is in Azure afterwards.

    Raises:
        CloudRefusedError: The name is somebody else's, or Azure refuses the body.
        BuilderError: As `AzureSite.followed`.
    """
    site.leave_if_cancelled()
    found = settled(site, part)
    if found is None:
        return _made(site, part, part.tags)
    tags: dict[str, str] = found.get("tags") or {}
    if part.tags is not None and not part.owned(tags):
        raise refuse_foreign(part.what, site.names.config.key.session_id)
    part.made(tags)
    if is_as_wanted(found, part.body):
        return found
    return _made(site, part, None if part.tags is None else tags, found)


def settled(site: AzureSite, part: Part) -> Document | None:
    """What is there once nothing goes on with it; None where there is nothing."""

    def look() -> tuple[Document | None] | None:
        found = site.found(f"look for {part.what}", part.get)
        return None if found is not None and _state(found) not in _STABLE else (found,)

    (found,) = awaited(
        look,
        what=f"The end of what Azure does with {part.what}",
        remedy="It goes on there; run the same command again.",
        patience=_GOES_ON,
        clock=site.clock,
        cancelled=site.cancelled,
    )
    return found


def is_as_wanted(found: Document, wanted: Document) -> bool:
    """Whether the resource is whole and has everything that the body says."""
    return _state(found) in ("Succeeded", "") and not list(differences(found, wanted))


def differences(found: Any, wanted: Any, where: str = "") -> Iterator[tuple[str, Any, Any]]:
    """(dotted place, wanted, found) of what differs; what Azure adds by itself does not count.

    A resource cannot be moved, so its location counts nowhere.
    """
    if isinstance(wanted, dict) and isinstance(found, dict):
        for key, value in wanted.items():
            if key != "location":
                place = f"{where}.{key}" if where else key
                yield from differences(found.get(key), value, place)
    elif isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        if _are_words(wanted) and _are_words(found):
            # A set to Azure, which answers it in an order of its own.
            found, wanted = sorted(found), sorted(wanted)
        for number, value in enumerate(wanted):
            yield from differences(found[number], value, f"{where}[{number}]")
    elif not _is_same(found, wanted):
        yield where, wanted, found


def _made(
    site: AzureSite,
    part: Part,
    tags: Mapping[str, str] | None,
    before: Document | None = None,
) -> Document:
    body = dict(part.body)
    if tags is not None:
        body["tags"] = dict(tags)
    if before is not None and "location" in before and "location" in body:
        body["location"] = before["location"]
    return site.followed(
        f"make {part.what}", lambda: part.begin(body), lambda: part.made(tags or {})
    )


def _state(document: Document) -> str:
    properties = document.get("properties")
    return str(properties.get("provisioningState", "")) if isinstance(properties, dict) else ""


def _is_same(found: Any, wanted: Any) -> bool:
    """Azure changes the case of ids and of words that it knows."""
    if isinstance(found, str) and isinstance(wanted, str):
        return found.casefold() == wanted.casefold()
    return bool(found == wanted)


def _are_words(values: list[Any]) -> bool:
    return all(isinstance(one, str) for one in values)

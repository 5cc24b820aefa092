"""The library as rows: each item, the rule that injects it, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.injection.catalogue import Item, ItemKind, read_catalogue
from core.injection.layers import Layer, LibrarySource
from core.injection.rules import RULES_FILE, Choice, Rule, expand, read_rules
from core.models.user import HostProvider, SiteType


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemRow:
    """One item under one rule; the names are the keys of the JSON document.

    Attributes:
        rule: None for an item that no rule injects.
        path: The file, relative to its layer.
        bytes: Size of the file.
        sha: SHA-256 of the file, in hex.
        why: One sentence.
        layer: Whether the item is shipped or the operator's own.
    """

    kind: ItemKind
    name: str
    rule: str | None
    path: str
    bytes: int
    sha: str
    why: str
    layer: Layer


def list_items(
    library: LibrarySource,
    *,
    host_provider: HostProvider | None = None,
    site_type: SiteType | None = None,
    kind: ItemKind | None = None,
) -> list[ItemRow]:
    """What the rules of these hosts and types inject, in the order of the rules.

    Without a host and type the items that no rule injects are listed too, at the end.

    Raises:
        LibraryError: A rule cannot be kept, so no honest list can be given.
    """
    catalogue = read_catalogue(library)
    rules = read_rules(library)
    choices = [choice for rule in rules for choice in expand(rule, catalogue)]
    rows = [
        _row(c.item, c.rule.name, _why(c)) for c in _matching(choices, host_provider, site_type)
    ]
    if host_provider is None and site_type is None:
        used = {choice.item.file for choice in choices}
        rows += [
            _row(item, None, f"no rule injects it{_origin(item)}")
            for item in catalogue.items
            if item.file not in used
        ]
    return [row for row in rows if kind is None or row.kind is kind]


def _matching(
    choices: Sequence[Choice], host_provider: HostProvider | None, site_type: SiteType | None
) -> list[Choice]:
    """Each item once per rule, however many of the rule's patterns find it."""
    seen: dict[tuple[str, str], Choice] = {}
    for choice in choices:
        if choice.rule.matches(host_provider, site_type):
            seen.setdefault((choice.rule.name, choice.item.file), choice)
    return list(seen.values())


def _row(item: Item, rule: str | None, why: str) -> ItemRow:
    return ItemRow(
        kind=item.kind,
        name=item.name,
        rule=rule,
        path=item.file,
        bytes=len(item.content),
        sha=item.sha256,
        why=why,
        layer=item.layer,
    )


def _why(choice: Choice) -> str:
    rule: Rule = choice.rule
    pattern = choice.pattern
    named = (
        f"{pattern.text} holds {choice.item.path}" if pattern.folder else f"names {pattern.text}"
    )
    file = f"{rule.folder}/{RULES_FILE}" if rule.layer is Layer.OWN else RULES_FILE
    place = f"{file}:{pattern.line}: the rule {rule.name} ({rule.condition})"
    instead = ", in place of the shipped rule" if rule.replaces else ""
    return f"{place}{instead}: {named}{_origin(choice.item)}"


def _origin(item: Item) -> str:
    """Which layer an own item comes from, and what it replaces."""
    if item.layer is Layer.SHIPPED:
        return ""
    instead = f" in place of the shipped {item.replaces}" if item.replaces else ""
    return f"; your own {item.place}{instead}"

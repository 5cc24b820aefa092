"""Which items a host and site type get: the rules files, matching and wildcards.

The operator's rules come after the shipped ones: one of the same name takes its place.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import msgspec

from core.files import read_regular
from core.injection.catalogue import Catalogue, Item, ItemKind
from core.injection.layers import Layer, LayerFolder, LibrarySource, layered
from core.injection.problems import LibraryError, Problem, found_in
from core.models.user import HostProvider, SiteType

RULES_FILE = "injection_rules.json"
ANY = "any"
_LIMIT_BYTES = 262_144
_RULE_NAME = re.compile(r"[a-z0-9][a-z0-9/-]{0,63}")
_PATTERN = re.compile(r"[a-z0-9][a-z0-9-]*(?:/[a-z0-9][a-z0-9-]*)*(?:/\*)?")
_RULE_INDEX = re.compile(r"\$\.rules\[(\d+)\]")


class _Match(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    host_provider: Literal["any", "aws", "azure", "local"] = "any"
    site_type: Literal["any", "static", "dynamic"] = "any"


class _Inject(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    agents: list[str] = []
    skills: list[str] = []


class _Rule(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    name: str
    match: _Match
    inject: _Inject


class _Document(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    version: Literal[1]
    rules: list[_Rule]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """What a rule names: one item, or with `/*` at its end every item of a folder."""

    kind: ItemKind
    text: str
    line: int

    @property
    def folder(self) -> str | None:
        """The folder that a wildcard stands for; None for a single item."""
        return self.text.removesuffix("/*") if self.text.endswith("/*") else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What matching sessions get. `None` matches every provider or type.

    Attributes:
        folder: The real path of the layer it stands in; empty for a library that is one folder.
        replaces: It takes the place of a shipped rule.
    """

    name: str
    line: int
    host_provider: HostProvider | None
    site_type: SiteType | None
    patterns: tuple[Pattern, ...]
    layer: Layer = Layer.SHIPPED
    folder: str = ""
    replaces: bool = False

    def matches(self, host_provider: HostProvider | None, site_type: SiteType | None) -> bool:
        """Whether it serves them; None asks for every provider or type."""
        return (
            host_provider is None
            or self.host_provider is None
            or self.host_provider is host_provider
        ) and (site_type is None or self.site_type is None or self.site_type is site_type)

    @property
    def condition(self) -> str:
        return f"host_provider {self.host_provider or ANY}, site_type {self.site_type or ANY}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """An item, and the first rule and pattern that ask for it."""

    item: Item
    rule: Rule
    pattern: Pattern


def read_rules(library: LibrarySource) -> tuple[Rule, ...]:
    """The rules of a library in their order; the operator's new ones come last.

    Raises:
        LibraryError: A file is missing, not JSON, not of this form, or names what no item can
            be called: absolute, hidden or climbing paths.
    """
    merged: dict[str, Rule] = {}
    for folder in layered(library).layers():
        with found_in(folder.shown):
            for rule in _read_layer(folder):
                merged[rule.name] = replace(
                    rule, layer=folder.layer, folder=folder.shown, replaces=rule.name in merged
                )
    return tuple(merged.values())


def _read_layer(folder: LayerFolder) -> tuple[Rule, ...]:
    """The rules of one layer; the operator's need not have any."""
    if folder.layer is Layer.OWN and not os.path.lexists(folder.path / RULES_FILE):
        return ()
    return _read_rules(folder.path)


def _read_rules(library: Path) -> tuple[Rule, ...]:
    content = read_regular(library, RULES_FILE, limit=_LIMIT_BYTES)
    if content is None:
        raise _fault(1, "missing, a symbolic link, or too large")
    document = _decode(content)
    text = content.decode()
    rules: list[Rule] = []
    for index, rule in enumerate(document.rules):
        line = _line_of_rule(text, index)
        if not _RULE_NAME.fullmatch(rule.name):
            raise _fault(line, f"{rule.name!r} cannot be the name of a rule")
        if any(rule.name == other.name for other in rules):
            raise _fault(line, f"two rules are called {rule.name}")
        rules.append(_build(rule, line, text))
    return tuple(rules)


def expand(rule: Rule, catalogue: Catalogue) -> Iterator[Choice]:
    """Every item that a rule asks for.

    Raises:
        LibraryError: An item that it names is not there or cannot be injected, a wildcard finds
            nothing, or something in a wildcard's folder is refused.
    """
    for pattern in rule.patterns:
        refusal = catalogue.refusal(pattern.kind, pattern.folder or pattern.text)
        if refusal is not None:
            raise LibraryError(refusal)
        items = find_items(pattern, catalogue)
        if not items:
            raise LibraryError(missing(rule, pattern))
        for item in items:
            if item.problem is not None:
                raise LibraryError(item.problem)
            yield Choice(item=item, rule=rule, pattern=pattern)


def find_items(pattern: Pattern, catalogue: Catalogue) -> tuple[Item, ...]:
    """The items that a pattern stands for, none where it names what is not there."""
    if pattern.folder is not None:
        return catalogue.children(pattern.kind, pattern.folder)
    item = catalogue.find(pattern.kind, pattern.text)
    return () if item is None else (item,)


def missing(rule: Rule, pattern: Pattern) -> Problem:
    """The fault of a pattern that stands for nothing."""
    text = f"the rule {rule.name} names the {pattern.kind} {pattern.text}, which does not exist"
    return Problem(file=RULES_FILE, line=pattern.line, text=text, folder=rule.folder)


def choose(
    rules: Sequence[Rule],
    catalogue: Catalogue,
    host_provider: HostProvider,
    site_type: SiteType,
) -> tuple[Choice, ...]:
    """What a session gets: the items of all matching rules, each once.

    Raises:
        LibraryError: No rule matches, or a matching rule cannot be kept.
    """
    matching = [rule for rule in rules if rule.matches(host_provider, site_type)]
    if not matching:
        raise _fault(1, f"no rule serves host_provider {host_provider}, site_type {site_type}")
    chosen: dict[str, Choice] = {}
    for rule in matching:
        for choice in expand(rule, catalogue):
            chosen.setdefault(choice.item.file, choice)
    return tuple(chosen.values())


def _build(rule: _Rule, line: int, text: str) -> Rule:
    match = rule.match
    patterns = [
        Pattern(kind=kind, text=name, line=_line_of_item(text, line, name))
        for kind, names in (
            (ItemKind.AGENT, rule.inject.agents),
            (ItemKind.SKILL, rule.inject.skills),
        )
        for name in names
    ]
    for pattern in patterns:
        if not _PATTERN.fullmatch(pattern.text):
            fault = f"the rule {rule.name} names {pattern.text!r}, no {pattern.kind}'s path"
            raise _fault(pattern.line, fault)
    return Rule(
        name=rule.name,
        line=line,
        host_provider=None if match.host_provider == ANY else HostProvider(match.host_provider),
        site_type=None if match.site_type == ANY else SiteType(match.site_type),
        patterns=tuple(patterns),
    )


def _decode(content: bytes) -> _Document:
    try:
        text = content.decode()
        json.loads(text)  # msgspec names a byte; a person needs the line
        return msgspec.json.decode(content, type=_Document)
    except json.JSONDecodeError as error:
        raise _fault(error.lineno, f"not JSON: {error.msg}") from error
    except UnicodeDecodeError as error:
        raise _fault(content.count(b"\n", 0, error.start) + 1, "not UTF-8 text") from error
    except msgspec.ValidationError as error:
        index = _RULE_INDEX.search(str(error))
        line = _line_of_rule(text, int(index[1])) if index else 1
        raise _fault(line, str(error)) from error


def _line_of_rule(text: str, index: int) -> int:
    """The line of the index-th rule's name, or of its nearest neighbour: a hint for a person."""
    places = [match.start() for match in re.finditer(r'"name"\s*:', text)]
    return 1 + text.count("\n", 0, places[min(index, len(places) - 1)]) if places else 1


def _line_of_item(text: str, rule_line: int, name: str) -> int:
    quoted = json.dumps(name)
    for number, line in enumerate(text.split("\n"), start=1):
        if number >= rule_line and quoted in line:
            return number
    return rule_line


def _fault(line: int, text: str) -> LibraryError:
    return LibraryError(Problem(file=RULES_FILE, line=line, text=text))

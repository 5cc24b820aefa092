"""Everything that can be wrong in a library, found in one go and never raised."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from core.files import open_beneath, read_regular
from core.injection.brief import brief_file, brief_layer, starter_brief
from core.injection.catalogue import Catalogue, Item, read_catalogue
from core.injection.commands import CommandLine, faults, find_commands
from core.injection.layers import LayerFolder, LibrarySource, layered
from core.injection.problems import LibraryError, Problem
from core.injection.references import Reference, ReferenceKind, find_references
from core.injection.rules import RULES_FILE, Rule, find_items, missing, read_rules
from core.injection.templates import (
    ALL_TEMPLATES,
    SESSION_TEMPLATES,
    TEMPLATE_LIMIT_BYTES,
    Template,
    placeholder_problems,
    read_template,
)
from core.models.user import HostProvider, SiteType

INJECTION_LIMIT_BYTES = 49_152
"""Most of it costs nothing until it is needed: Claude's first request carries the session's page
and each helper's name and description; a text is read when its helper is used."""


def validate(
    library: LibrarySource, *, verbs: CommandLine | Collection[str], strict: bool = False
) -> list[Problem]:
    """The problems of a library, sorted by file and line; empty when there is none.

    Args:
        library: The library, or a folder to look at by itself.
        verbs: The product's command line; of bare words only the first of a command is checked.
        strict: Also report files that are no items, hosts that no rule serves, and rules that
            give a session too many bytes.

    Raises:
        NotFoundError: There is no such folder.
        UsageError: The operator's layer lies where a pane can write.
    """
    known = verbs if isinstance(verbs, CommandLine) else CommandLine.of_words(verbs)
    catalogue = read_catalogue(library)
    problems = [item.problem for item in catalogue.items if item.problem is not None]
    problems += [*catalogue.refused, *catalogue.forbidden]
    problems += _template_problems(library)
    problems += _brief_problems(library)
    problems += _text_problems(library, catalogue, known)
    try:
        rules = read_rules(library)
    except LibraryError as error:
        return sorted({*problems, error.problem})
    problems += _rule_problems(rules, catalogue)
    if strict:
        problems += catalogue.ignored
        problems += _unserved(library, rules)
        problems += _oversized(library, rules, catalogue)
    return sorted(set(problems))


def _rule_problems(rules: Sequence[Rule], catalogue: Catalogue) -> Iterator[Problem]:
    used: set[str] = set()
    for rule in rules:
        for pattern in rule.patterns:
            items = find_items(pattern, catalogue)
            used.update(item.file for item in items)
            if not items:
                yield missing(rule, pattern)
        yield from _helpers_left_out(rule, catalogue)
    for item in catalogue.items:
        if item.file not in used:
            yield _in_item(item, 1, "no rule injects it")


def _helpers_left_out(rule: Rule, catalogue: Catalogue) -> Iterator[Problem]:
    """Helpers that a rule's texts point at and that the rule does not give along."""
    items = _items_of(rule, catalogue)
    given = {(str(item.kind), item.name) for item in items}
    known = {(str(item.kind), item.name) for item in catalogue.items}
    for item in items:
        for reference in _references(item.content):
            helper = (str(reference.kind), reference.name)
            if helper in known and helper not in given:
                text = f"the {reference.kind} {reference.name} is not injected by rule {rule.name}"
                yield _in_item(item, reference.line, text)


def _in_item(item: Item, line: int, text: str) -> Problem:
    return Problem(file=item.file, line=line, text=text, folder=item.folder)


def _items_of(rule: Rule, catalogue: Catalogue) -> list[Item]:
    found = {i.file: i for pattern in rule.patterns for i in find_items(pattern, catalogue)}
    return list(found.values())


def _text_problems(
    library: LibrarySource, catalogue: Catalogue, known: CommandLine
) -> Iterator[Problem]:
    """Commands that the product does not have, and pointers at what is not there."""
    folders = layered(library).layers()
    helpers = {(str(item.kind), item.name) for item in catalogue.items}
    for folder, file, content in _texts(library, catalogue):
        for command in find_commands(content.decode(errors="replace")):
            for text in faults(command, known):
                yield Problem(file=file, line=command.line, text=text, folder=folder)
        for reference in _references(content):
            if _is_dead(folders, reference, helpers):
                text = f"the {reference.kind} {reference.name} does not exist"
                yield Problem(file=file, line=reference.line, text=text, folder=folder)


def _is_dead(
    folders: Sequence[LayerFolder], reference: Reference, helpers: Collection[tuple[str, str]]
) -> bool:
    if reference.kind is ReferenceKind.FILE:
        name = reference.name.removeprefix("library/")
        return not any(_exists(folder.path, name) for folder in folders)
    return (str(reference.kind), reference.name) not in helpers


def _exists(library: Path, name: str) -> bool:
    try:
        os.close(open_beneath(library, name))
    except OSError:
        return False
    return True


def _texts(library: LibrarySource, catalogue: Catalogue) -> Iterator[tuple[str, str, bytes]]:
    """Every document that Claude reads, as its layer's folder, its file and its content."""
    for item in catalogue.items:
        yield item.folder, item.file, item.content
    shipped = layered(library).layers()[0]
    pages = [(shipped, page.source) for page in SESSION_TEMPLATES if page.is_filled_in]
    briefs = [(brief_layer(library, one), brief_file(one)) for one in SiteType]
    for folder, file in (*pages, *briefs):
        content = read_regular(folder.path, file, limit=TEMPLATE_LIMIT_BYTES)
        yield folder.shown, file, content or b""


@lru_cache(maxsize=256)
def _references(content: bytes) -> tuple[Reference, ...]:
    """Of a text that several rules give."""
    return tuple(find_references(content.decode(errors="replace")))


def _template_problems(library: LibrarySource) -> Iterator[Problem]:
    folder = layered(library).layers()[0]
    for template in ALL_TEMPLATES:
        try:
            content = read_template(folder.path, template)
        except LibraryError as error:
            yield error.problem.within(folder.shown)
            continue
        for problem in _page_problems(template, content):
            yield problem.within(folder.shown)


def _page_problems(template: Template, content: bytes) -> Iterator[Problem]:
    if template.is_filled_in:
        yield from placeholder_problems(template, content)
    if template.file.endswith(".json"):
        try:
            json.loads(content)
        except json.JSONDecodeError as error:
            yield Problem(file=template.source, line=error.lineno, text=f"not JSON: {error.msg}")
        except UnicodeDecodeError:
            yield Problem(file=template.source, line=1, text="not UTF-8 text")
    if template.file.endswith(".sh") and not content.startswith(b"#!/"):
        yield Problem(file=template.source, line=1, text="the first line must be #! and a shell")


def _brief_problems(library: LibrarySource) -> Iterator[Problem]:
    for site_type in SiteType:
        try:
            starter_brief(library, site_type)
        except LibraryError as error:
            yield error.problem


def _unserved(library: LibrarySource, rules: Sequence[Rule]) -> Iterator[Problem]:
    folder = layered(library).layers()[0].shown
    for host_provider in HostProvider:
        for site_type in SiteType:
            if not any(rule.matches(host_provider, site_type) for rule in rules):
                text = f"no rule serves host_provider {host_provider}, site_type {site_type}"
                yield Problem(file=RULES_FILE, line=1, text=text, folder=folder)


def _oversized(
    library: LibrarySource, rules: Sequence[Rule], catalogue: Catalogue
) -> Iterator[Problem]:
    folder, limit = layered(library).shipped, TEMPLATE_LIMIT_BYTES
    pages = sum(len(read_regular(folder, t.source, limit=limit) or b"") for t in SESSION_TEMPLATES)
    for rule in rules:
        size = pages + sum(len(item.content) for item in _items_of(rule, catalogue))
        if size > INJECTION_LIMIT_BYTES:
            text = f"the rule {rule.name} gives {size} bytes, more than {INJECTION_LIMIT_BYTES}"
            yield Problem(file=RULES_FILE, line=rule.line, text=text, folder=rule.folder)

"""Everything that can be wrong in a library, found in one go and never raised."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from core.files import open_beneath, read_regular
from core.injection.brief import brief_file, starter_brief
from core.injection.catalogue import Catalogue, Item, read_catalogue
from core.injection.problems import LibraryError, Problem
from core.injection.references import Reference, ReferenceKind, find_references, unknown_verbs
from core.injection.rules import RULES_FILE, Rule, find_items, missing, read_rules
from core.injection.templates import (
    SESSION_TEMPLATES,
    TEMPLATE_LIMIT_BYTES,
    Template,
    placeholder_problems,
    read_template,
)
from core.models.user import HostProvider, SiteType

INJECTION_LIMIT_BYTES = 24_000


def validate(library: Path, *, verbs: Collection[str], strict: bool = False) -> list[Problem]:
    """The problems of a library, sorted by file and line; empty when there is none.

    Args:
        library: The folder to look at.
        verbs: The first words that the product's command line knows.
        strict: Also report files that are no items, hosts that no rule serves, and rules that
            give a session more than 24,000 bytes.

    Raises:
        NotFoundError: There is no such folder.
    """
    catalogue = read_catalogue(library)
    problems = [item.problem for item in catalogue.items if item.problem is not None]
    problems += catalogue.refused
    problems += _template_problems(library)
    problems += _brief_problems(library)
    problems += _reference_problems(library, catalogue, verbs)
    try:
        rules = read_rules(library)
    except LibraryError as error:
        return sorted({*problems, error.problem})
    problems += _rule_problems(rules, catalogue)
    if strict:
        problems += catalogue.ignored
        problems += _unserved(rules)
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
            yield Problem(file=item.file, line=1, text="no rule injects it")


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
                yield Problem(file=item.file, line=reference.line, text=text)


def _items_of(rule: Rule, catalogue: Catalogue) -> list[Item]:
    found = {i.file: i for pattern in rule.patterns for i in find_items(pattern, catalogue)}
    return list(found.values())


def _reference_problems(
    library: Path, catalogue: Catalogue, verbs: Collection[str]
) -> Iterator[Problem]:
    helpers = {(str(item.kind), item.name) for item in catalogue.items}
    for file, content in _texts(library, catalogue):
        references = _references(content)
        for verb in unknown_verbs(references, verbs):
            text = f"tmux-builder has no verb {verb.name}"
            yield Problem(file=file, line=verb.line, text=text)
        for reference in references:
            if _is_dead(library, reference, helpers):
                text = f"the {reference.kind} {reference.name} does not exist"
                yield Problem(file=file, line=reference.line, text=text)


def _is_dead(library: Path, reference: Reference, helpers: Collection[tuple[str, str]]) -> bool:
    if reference.kind is ReferenceKind.VERB:
        return False
    if reference.kind is ReferenceKind.FILE:
        return not _exists(library, reference.name.removeprefix("library/"))
    return (str(reference.kind), reference.name) not in helpers


def _exists(library: Path, name: str) -> bool:
    try:
        os.close(open_beneath(library, name))
    except OSError:
        return False
    return True


def _texts(library: Path, catalogue: Catalogue) -> Iterator[tuple[str, bytes]]:
    """Every document that Claude reads, by its file."""
    for item in catalogue.items:
        yield item.file, item.content
    pages = [template.source for template in SESSION_TEMPLATES if template.is_filled_in]
    for file in (*pages, *(brief_file(site_type) for site_type in SiteType)):
        yield file, read_regular(library, file, limit=TEMPLATE_LIMIT_BYTES) or b""


def _references(content: bytes) -> list[Reference]:
    return list(find_references(content.decode(errors="replace")))


def _template_problems(library: Path) -> Iterator[Problem]:
    for template in SESSION_TEMPLATES:
        try:
            content = read_template(library, template)
        except LibraryError as error:
            yield error.problem
            continue
        yield from _page_problems(template, content)


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


def _brief_problems(library: Path) -> Iterator[Problem]:
    for site_type in SiteType:
        try:
            starter_brief(library, site_type)
        except LibraryError as error:
            yield error.problem


def _unserved(rules: Sequence[Rule]) -> Iterator[Problem]:
    for host_provider in HostProvider:
        for site_type in SiteType:
            if not any(rule.matches(host_provider, site_type) for rule in rules):
                text = f"no rule serves host_provider {host_provider}, site_type {site_type}"
                yield Problem(file=RULES_FILE, line=1, text=text)


def _oversized(library: Path, rules: Sequence[Rule], catalogue: Catalogue) -> Iterator[Problem]:
    limit = TEMPLATE_LIMIT_BYTES
    pages = sum(len(read_regular(library, t.source, limit=limit) or b"") for t in SESSION_TEMPLATES)
    for rule in rules:
        size = pages + sum(len(item.content) for item in _items_of(rule, catalogue))
        if size > INJECTION_LIMIT_BYTES:
            text = f"the rule {rule.name} gives {size} bytes, more than {INJECTION_LIMIT_BYTES}"
            yield Problem(file=RULES_FILE, line=rule.line, text=text)

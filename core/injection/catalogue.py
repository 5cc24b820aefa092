"""A library as items. Reads and judges each agent and skill of each layer; copies nothing.

Nothing outside a layer's folder becomes an item: links are refused, names are lower-case words.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from core.files import read_regular
from core.injection.front_matter import FrontMatterFault, parse_front_matter
from core.injection.layers import Layer, LayerFolder, LibrarySource, forbidden, layered, strays
from core.injection.problems import Problem

ITEM_LIMIT_BYTES = 8192
DESCRIPTION_LIMIT = 400
SKILL_FILE = "SKILL.md"
NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")
_SUFFIX = ".md"


class ItemKind(StrEnum):
    """What Claude discovers."""

    AGENT = "agent"
    SKILL = "skill"

    @property
    def folder(self) -> str:
        return f"{self}s"


_KEYS = {
    ItemKind.AGENT: frozenset({"name", "description", "tools", "model", "color"}),
    ItemKind.SKILL: frozenset({"name", "description", "allowed-tools"}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One agent or skill. An item with a problem is known but never injected.

    Attributes:
        path: As rules name it, such as `deployers/aws-s3-static`.
        file: Relative to its layer.
        name: As Claude announces it; an agent's last part, a skill's path with dashes.
        folder: The layer's real path, empty for a library that is one folder alone.
        replaces: The shipped item's file in whose place it stands.
    """

    kind: ItemKind
    path: str
    file: str
    name: str
    description: str = ""
    content: bytes = b""
    problem: Problem | None = None
    layer: Layer = Layer.SHIPPED
    folder: str = ""
    replaces: str | None = None

    @property
    def place(self) -> str:
        """The file as an editor finds it."""
        return f"{self.folder}/{self.file}" if self.folder else self.file

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def target(self) -> str:
        """Where Claude discovers it, relative to `.claude`."""
        if self.kind is ItemKind.AGENT:
            return f"agents/{self.name}{_SUFFIX}"
        return f"skills/{self.name}/{SKILL_FILE}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """Everything a library holds, sorted by kind and path.

    Attributes:
        refused: What looks like an item and cannot be one: links, bad names, stray skill files.
        ignored: What is no item at all, such as hidden files.
        forbidden: What makes the operator's layer unusable as a whole.
    """

    items: tuple[Item, ...]
    refused: tuple[Problem, ...]
    ignored: tuple[Problem, ...]
    forbidden: tuple[Problem, ...] = ()

    def find(self, kind: ItemKind, path: str) -> Item | None:
        return next((i for i in self.items if i.kind is kind and i.path == path), None)

    def children(self, kind: ItemKind, folder: str) -> tuple[Item, ...]:
        """The items directly in a folder of the library."""
        return tuple(
            i for i in self.items if i.kind is kind and i.path.rpartition("/")[0] == folder
        )

    def refusal(self, kind: ItemKind, path: str) -> Problem | None:
        """The first refused thing that is at this path or below it."""
        place = f"{kind.folder}/{path}"
        return next(
            (
                problem
                for problem in self.refused
                if problem.file.removesuffix(_SUFFIX) == place
                or problem.file.startswith(f"{place}/")
            ),
            None,
        )


@dataclass(frozen=True, slots=True)
class _Found:
    """An item's file, or the reason why a file is none; the reason of an ignored one is softer."""

    file: str
    item_path: str | None = None
    refusal: str | None = None
    is_ignored: bool = False


def read_catalogue(library: LibrarySource) -> Catalogue:
    """Read every agent and skill of a library; an own item replaces the shipped one at its path.

    Raises:
        NotFoundError: There is no such folder.
        UsageError: The operator's layer lies where a pane can write.
    """
    layers = layered(library).layers()
    parts = [_read_layer(folder) for folder in layers]
    items = _merge([part.items for part in parts])
    return Catalogue(
        items=tuple(_mark_duplicates(items)),
        refused=tuple(problem for part in parts for problem in part.refused),
        ignored=tuple(problem for part in parts for problem in part.ignored),
        forbidden=tuple(problem for folder in layers for problem in forbidden(folder)),
    )


def _read_layer(folder: LayerFolder) -> Catalogue:
    items: list[Item] = []
    refused: list[Problem] = []
    ignored = list(strays(folder))
    for kind in ItemKind:
        for found in _walk(folder.path, kind, kind.folder):
            if found.item_path is not None:
                items.append(_of_layer(_read_item(folder.path, kind, found), folder))
            else:
                text = found.refusal or ""
                problem = Problem(file=found.file, line=1, text=text, folder=folder.shown)
                (ignored if found.is_ignored else refused).append(problem)
    return Catalogue(items=tuple(items), refused=tuple(refused), ignored=tuple(ignored))


def _of_layer(item: Item, folder: LayerFolder) -> Item:
    problem = None if item.problem is None else item.problem.within(folder.shown)
    return replace(item, layer=folder.layer, folder=folder.shown, problem=problem)


def _merge(layers: Iterable[tuple[Item, ...]]) -> list[Item]:
    """The items of all layers by kind and path; a later layer's take the place of an earlier's."""
    merged: dict[tuple[ItemKind, str], list[Item]] = {}
    for items in layers:
        groups: dict[tuple[ItemKind, str], list[Item]] = defaultdict(list)
        for item in items:
            groups[item.kind, item.path].append(item)
        for place, group in groups.items():
            under = merged.get(place)
            file = None if under is None else under[0].file
            merged[place] = [replace(item, replaces=file) for item in group]
    flat = [item for group in merged.values() for item in group]
    return sorted(flat, key=lambda item: (item.kind, item.path, item.file))


def _walk(library: Path, kind: ItemKind, folder: str) -> Iterator[_Found]:
    """Every file below `folder`, judged by its name and kind alone."""
    if (library / folder).is_symlink():
        yield _Found(folder, refusal="a symbolic link is never followed")
        return
    try:
        with os.scandir(library / folder) as entries:
            sorted_entries = sorted(entries, key=lambda entry: entry.name)
    except FileNotFoundError:
        return
    is_group = kind is ItemKind.SKILL and folder != kind.folder
    is_skill = is_group and any(entry.name == SKILL_FILE for entry in sorted_entries)
    for entry in sorted_entries:
        file = f"{folder}/{entry.name}"
        if entry.is_dir(follow_symlinks=False) and NAME.fullmatch(entry.name) and not is_skill:
            yield from _walk(library, kind, file)
        else:
            yield _judge(entry, kind, folder, is_skill=is_skill)


def _judge(entry: os.DirEntry[str], kind: ItemKind, folder: str, *, is_skill: bool) -> _Found:
    file = f"{folder}/{entry.name}"
    if entry.name.startswith("."):
        return _Found(file, refusal="hidden, so never an item", is_ignored=True)
    parent = folder.removeprefix(kind.folder).removeprefix("/")
    if is_skill:
        if entry.name == SKILL_FILE:
            return _Found(file, item_path=parent)
        return _Found(file, refusal=f"beside {SKILL_FILE}: only that file is injected")
    if refusal := _refusal(entry, kind):
        return _Found(file, refusal=refusal)
    if not entry.name.endswith(_SUFFIX):
        return _Found(file, refusal=f"not a {_SUFFIX} file, so never an item", is_ignored=True)
    return _Found(file, item_path=f"{parent}/{entry.name.removesuffix(_SUFFIX)}".lstrip("/"))


def _refusal(entry: os.DirEntry[str], kind: ItemKind) -> str | None:
    """Why an entry of a group looks like an item and cannot be one."""
    if entry.is_symlink():
        return "a symbolic link is never followed"
    if kind is ItemKind.SKILL and entry.name.lower() == SKILL_FILE.lower():
        return f"a skill's folder holds {SKILL_FILE}, spelled so"
    is_document = entry.name.endswith(_SUFFIX) and entry.is_file(follow_symlinks=False)
    is_folder = entry.is_dir(follow_symlinks=False)
    if (is_document or is_folder) and not NAME.fullmatch(entry.name.removesuffix(_SUFFIX)):
        return "a name has lower-case letters, digits and inner dashes only"
    if entry.name.endswith(_SUFFIX) and not is_document:
        return "not a regular file"
    return None


def _read_item(library: Path, kind: ItemKind, found: _Found) -> Item:
    path = found.item_path or ""
    is_agent = kind is ItemKind.AGENT
    name = path.rpartition("/")[2] if is_agent else path.replace("/", "-")
    item = Item(kind=kind, path=path, file=found.file, name=name)
    content = read_regular(library, found.file, limit=ITEM_LIMIT_BYTES)
    if content is None:
        text = f"not a regular file of at most {ITEM_LIMIT_BYTES} bytes, or a symbolic link"
        return replace(item, problem=Problem(file=found.file, line=1, text=text))
    try:
        values = parse_front_matter(content)
        _require_known(item, values)
    except FrontMatterFault as fault:
        return replace(item, content=content, problem=fault.problem(found.file))
    return replace(item, content=content, description=values["description"])


def _require_known(item: Item, values: Mapping[str, str]) -> None:
    lines = {key: number for number, key in enumerate(values, start=2)}
    for key in ("name", "description"):
        if key not in values:
            raise FrontMatterFault(1, f"the front matter lacks {key}; Claude would ignore this")
    for key, line in lines.items():
        if key not in _KEYS[item.kind]:
            known = ", ".join(sorted(_KEYS[item.kind]))
            raise FrontMatterFault(line, f"unknown key {key}; {item.kind}s have {known}")
    if values["name"] != item.name:
        text = f"the name is {values['name']!r}, but this place in the library means {item.name!r}"
        raise FrontMatterFault(lines["name"], text)
    if not NAME.fullmatch(item.name):
        raise FrontMatterFault(lines["name"], "the name is longer than 64 characters")
    if len(values["description"]) > DESCRIPTION_LIMIT:
        text = f"the description is longer than {DESCRIPTION_LIMIT} characters"
        raise FrontMatterFault(lines["description"], text)


def _mark_duplicates(items: Iterable[Item]) -> Iterator[Item]:
    by_name: dict[str, list[Item]] = defaultdict(list)
    all_items = tuple(items)
    for item in all_items:
        by_name[item.name].append(item)
    for item in all_items:
        others = [other.place for other in by_name[item.name] if other.place != item.place]
        if others and item.problem is None:
            text = f"the name {item.name} is also that of {', '.join(others)}"
            problem = Problem(file=item.file, line=2, text=text, folder=item.folder)
            yield replace(item, problem=problem)
        else:
            yield item

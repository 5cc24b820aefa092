"""The library as layers: what is shipped, and what the operator lays over it.

Only agents, skills, rules and briefs can be laid over: the templates hold the safety rules of a
pane, so they come from the shipped layer alone.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from core.config import Settings
from core.errors import NotFoundError, UsageError
from core.injection.problems import Problem
from core.paths import DataRoot, config_folder, library_folder

SETTING = "library.path"
TEMPLATES = "templates"
_KNOWN = frozenset({"agents", "skills", "briefs", "injection_rules.json", "README.md", TEMPLATES})


class Layer(StrEnum):
    """Where an item comes from; a later layer wins."""

    SHIPPED = "shipped"
    OWN = "own"


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerFolder:
    """One layer on disk.

    Attributes:
        shown: The folder as problems name it; empty for a library that is one folder alone, whose
            problems are relative to it.
    """

    layer: Layer
    path: Path
    shown: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """Everything that is handed to Claude, as one value.

    Attributes:
        own: The operator's folder; None where there can be none.
        is_named: A setting names `own`, so it has to be there.
        is_alone: `shipped` is any folder, looked at by itself.
        data_root: Where panes write; no library may lie in it.
    """

    shipped: Path
    own: Path | None = None
    is_named: bool = False
    is_alone: bool = False
    data_root: Path | None = None

    def layers(self) -> tuple[LayerFolder, ...]:
        """The layers that are there, the weaker first.

        Raises:
            NotFoundError: A folder that has to be there is not.
            UsageError: The operator's folder lies where a pane can write.
        """
        if not self.shipped.is_dir():
            raise NotFoundError(
                f"There is no library at {self.shipped}.",
                remedy="Name the folder that holds agents/.",
            )
        shown = "" if self.is_alone else str(self.shipped)
        shipped = LayerFolder(layer=Layer.SHIPPED, path=self.shipped, shown=shown)
        own = self._own()
        return (shipped,) if own is None else (shipped, own)

    def folder(self, layer: Layer) -> Path:
        """Where a layer lies; the operator's must be there."""
        return self.shipped if layer is Layer.SHIPPED or self.own is None else self.own

    def _own(self) -> LayerFolder | None:
        if self.own is None:
            return None
        if not self.own.is_dir():
            if not self.is_named:
                return None
            raise NotFoundError(
                f"There is no library at {self.own}, which the setting {SETTING} names.",
                remedy=f"mkdir -p {self.own}, or tmux-builder config set {SETTING} FOLDER",
            )
        path = self.own.resolve()
        if self.data_root is not None and path.is_relative_to(self.data_root.resolve()):
            raise UsageError(
                f"Your library {path} lies in the data root, where a customer's Claude writes.",
                remedy=f"Move it out of {self.data_root}.",
            )
        return LayerFolder(layer=Layer.OWN, path=path, shown=str(path))


LibrarySource = Library | Path
"""A library, or a folder that is one by itself."""


def layered(library: LibrarySource) -> Library:
    return library if isinstance(library, Library) else Library(shipped=library, is_alone=True)


def operator_library(settings: Settings, root: DataRoot, environ: Mapping[str, str]) -> Library:
    """The shipped library with the operator's own one over it, if there is one."""
    named = settings.library_path
    own = config_folder(environ) / "library" if named is None else named
    return Library(
        shipped=library_folder(), own=own, is_named=named is not None, data_root=root.path
    )


def forbidden(folder: LayerFolder) -> Iterator[Problem]:
    """What makes the operator's layer unusable as a whole."""
    if folder.layer is not Layer.OWN:
        return
    if (folder.path / TEMPLATES).exists() or (folder.path / TEMPLATES).is_symlink():
        text = "templates hold the safety rules of a pane and cannot be laid over: remove them"
        yield Problem(file=TEMPLATES, line=1, text=text, folder=folder.shown)
    if stat.S_IMODE(folder.path.stat().st_mode) & stat.S_IWOTH:
        text = "every account of this computer can write here: chmod o-w it"
        yield Problem(file=".", line=1, text=text, folder=folder.shown)


def strays(folder: LayerFolder) -> Iterator[Problem]:
    """What lies in the operator's layer and is never used."""
    if folder.layer is not Layer.OWN:
        return
    for entry in sorted(folder.path.iterdir()):
        if entry.name not in _KNOWN:
            text = "neither agents, skills, briefs nor rules, so never used"
            yield Problem(file=entry.name, line=1, text=text, folder=folder.shown)

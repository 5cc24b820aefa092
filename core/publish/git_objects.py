"""A release as git sees it: the ids of blobs, the trees of its folders, the one commit."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

BLOB, TREE, COMMIT = b"blob", b"tree", b"commit"
_AUTHOR = b"tmux-builder <tmux-builder@localhost> 0 +0000"


@dataclass(frozen=True, slots=True, kw_only=True)
class GitObject:
    """A small object that is made here and lies in memory."""

    kind: bytes
    oid: bytes
    content: bytes


class TreeEntry(Protocol):
    """One file of a release; `oid` is the blob's."""

    @property
    def path(self) -> str: ...
    @property
    def oid(self) -> bytes: ...
    @property
    def executable(self) -> bool: ...


@dataclass(slots=True)
class _Folder:
    lines: dict[bytes, bytes] = field(default_factory=dict)
    folders: dict[bytes, _Folder] = field(default_factory=dict)


class BlobDigest:
    """The id of a blob whose size is known and whose bytes come in pieces."""

    def __init__(self, size_bytes: int) -> None:
        # SHA-1 is what git names objects by; what proves content is the manifest's SHA-256.
        self._digest = hashlib.sha1(b"blob %d\0" % size_bytes, usedforsecurity=False)
        self.update = self._digest.update

    def oid(self) -> bytes:
        return self._digest.digest()


def blob_id(content: bytes) -> bytes:
    return object_id(BLOB, content)


def object_id(kind: bytes, content: bytes) -> bytes:
    digest = hashlib.sha1(b"%s %d\0" % (kind, len(content)), usedforsecurity=False)
    digest.update(content)
    return digest.digest()


def trees_of(entries: Iterable[TreeEntry]) -> list[GitObject]:
    """The tree of every folder, each after those below it; the last one is the release's."""
    root = _Folder()
    folders = {b"": root}
    for entry in entries:
        parent, _slash, name = entry.path.encode().rpartition(b"/")
        folder = folders.get(parent) or _folder_at(folders, parent)
        mode = b"100755" if entry.executable else b"100644"
        folder.lines[name] = b"%s %s\0%s" % (mode, name, entry.oid)
    return list(_trees(root))


def commit_of(tree: GitObject, message: str) -> GitObject:
    """The commit that a release's ref names: always the same for the same release."""
    lines = b"tree %s\nauthor %s\ncommitter %s\n\n%s\n"
    content = lines % (tree.oid.hex().encode(), _AUTHOR, _AUTHOR, message.encode())
    return _object(COMMIT, content)


def _folder_at(folders: dict[bytes, _Folder], path: bytes) -> _Folder:
    """The folder of that path, made with those above it where it is missing."""
    if path not in folders:
        above, _slash, name = path.rpartition(b"/")
        folders[path] = _folder_at(folders, above).folders[name] = _Folder()
    return folders[path]


def _trees(folder: _Folder) -> Iterator[GitObject]:
    lines = folder.lines
    for name, deeper in folder.folders.items():
        tree: GitObject | None = None
        for tree in _trees(deeper):
            yield tree
        if tree is not None:
            # git sorts a folder as if its name ended with a slash.
            lines[name + b"/"] = b"40000 %s\0%s" % (name, tree.oid)
    yield _object(TREE, b"".join(lines[name] for name in sorted(lines)))


def _object(kind: bytes, content: bytes) -> GitObject:
    return GitObject(kind=kind, oid=object_id(kind, content), content=content)

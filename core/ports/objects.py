"""What publishing needs of an object store: one listing, whole writes, deletes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """One object of a listing; `etag` is in the form in which `put` answers it."""

    etag: str
    size_bytes: int


class ObjectStore(Protocol):
    """One site's bucket, container or prefix. Safe to use from several threads at once."""

    def list(self) -> dict[str, StoredObject]:
        """Every object by path; one request per 1,000."""

    def put(
        self, path: str, content: bytes | Iterator[bytes], headers: Mapping[str, str]
    ) -> str:  # fmt: skip
        """Write an object whole, or not at all; its ETag.

        Args:
            content: An iterator is sent in parts while it is read, for what is too big to hold.
            headers: Content-Type, Cache-Control and the like.
        """

    def delete(self, paths: Sequence[str]) -> None:
        """Remove these; those that are missing already are fine."""

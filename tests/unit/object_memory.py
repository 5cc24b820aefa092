"""An object store in memory: the port as small as it can be, that fails where it is told to."""

from __future__ import annotations

import builtins
import hashlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from core.errors import CloudUnreachableError
from core.models.release import PublishedObject, Release
from core.models.session import Session, SessionKey
from core.models.user import HostProvider, SiteType
from core.paths import DataRoot, SessionPaths
from core.ports.host import PublishRequest
from core.ports.objects import StoredObject
from core.publish.object_site import ObjectSite, SiteChange
from core.publish.snapshot import take_release
from core.publish.trees import GitReleaseTrees

AT = datetime(2026, 1, 12, 14, 22, 33, tzinfo=UTC)
KEY = SessionKey("7f3c9e01-5b1d-5c7e-9a43-2f6f0a6f11aa", "sess_20260112_142233")


@dataclass
class MemoryObjects:
    """ETags are MD5s, as on S3, or numbers that say nothing, as on Azure.

    `calls` holds every call in order; `fails_at` is the index of the one that fails before its
    effect, `dies_at` of the one whose effect happens while its answer is lost. `is_dead` says
    that the fault was the end of the process: nothing is recorded after it.
    """

    has_md5: bool = True
    contents: dict[str, bytes] = field(default_factory=dict)
    etags: dict[str, str] = field(default_factory=dict)
    headers: dict[str, dict[str, str]] = field(default_factory=dict)
    calls: builtins.list[tuple[str, str]] = field(default_factory=list)
    in_parts: builtins.list[str] = field(default_factory=list)
    fails_at: int | None = None
    dies_at: int | None = None
    kills: bool = False
    is_dead: bool = False
    on_put: Callable[[str, int], None] = lambda _path, _size: None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def list(self) -> dict[str, StoredObject]:
        with self.call("list", ""):
            return {
                path: StoredObject(etag=self.etags[path], size_bytes=len(content))
                for path, content in self.contents.items()
            }

    def put(
        self, path: str, content: bytes | Iterator[bytes], headers: Mapping[str, str]
    ) -> str:  # fmt: skip
        if not isinstance(content, bytes):
            self.in_parts.append(path)
            content = b"".join(content)
        self.on_put(path, len(content))
        with self.call("put", path), self.lock:
            self.contents[path], self.headers[path] = content, dict(headers)
            digest = hashlib.md5(content).hexdigest()
            self.etags[path] = digest if self.has_md5 else f"0x8D{len(self.calls)}"
            return self.etags[path]

    def delete(self, paths: Sequence[str]) -> None:
        with self.call("delete", ",".join(paths)):
            for path in paths:
                self.contents.pop(path, None)

    def call(self, verb: str, path: str) -> _Call:
        with self.lock:
            self.calls.append((verb, path))
            return _Call(self, len(self.calls) - 1)

    def of(self, verb: str) -> builtins.list[str]:
        return [path for one, path in self.calls if one == verb]


class _Call:
    def __init__(self, objects: MemoryObjects, number: int) -> None:
        self._objects, self._number = objects, number

    def __enter__(self) -> None:
        if self._number == self._objects.fails_at:
            self._objects.is_dead = self._objects.kills
            raise fault()

    def __exit__(self, *_error: object) -> None:
        if self._number == self._objects.dies_at:
            self._objects.is_dead = self._objects.kills
            raise fault()


def fault() -> CloudUnreachableError:
    return CloudUnreachableError("The store did not answer.", remedy="Run it again.")


@dataclass
class SitePlace:
    """A session's source and repository, and the record that a store would keep of its site."""

    paths: SessionPaths
    objects: MemoryObjects
    known: dict[str, PublishedObject] = field(default_factory=dict)
    saves: int = 0
    told: list[tuple[str, ...]] = field(default_factory=list)
    logged: list[tuple[str, str]] = field(default_factory=list)

    def write(self, *paths: str, text: str = "one") -> None:
        for path in paths:
            file = self.paths.source / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{path} {text}")

    def take(self) -> Release:
        return take_release(KEY, self.paths, self.paths.source, SiteType.STATIC)

    def request(self, release: Release | None = None, **more: object) -> PublishRequest:
        wanted: dict[str, object] = {"log": self._log, "max_delete": 10, **more}
        return PublishRequest(
            session=SESSION, execution_id="run", idempotency_key="run:4", previous=None,
            release=release or self.take(), trees=GitReleaseTrees(self.paths.repository),
            **wanted,  # type: ignore[arg-type]
        )  # fmt: skip

    def site(self) -> ObjectSite:
        return ObjectSite(self.objects, self.known, self._remember)

    def publish(self, release: Release | None = None, **more: object) -> SiteChange:
        """As another process would: with nothing but the record."""
        self.objects.calls.clear()
        self.objects.is_dead = False
        self.told.clear()
        return self.site().publish(self.request(release, **more), self._invalidate)

    def served(self) -> dict[str, bytes]:
        return dict(self.objects.contents)

    def _remember(self, known: dict[str, PublishedObject]) -> None:
        if not self.objects.is_dead:
            self.saves += 1
            self.known = known

    def _invalidate(self, paths: Sequence[str]) -> None:
        with self.objects.call("invalidate", ",".join(paths)):
            self.told.append(tuple(paths))

    def _log(self, message: str, details: Mapping[str, object]) -> None:
        self.logged.append((message, str(details.get("path", ""))))


SESSION = Session(
    key=KEY, host_provider=HostProvider.AWS, site_type=SiteType.STATIC, created_at=AT,
    updated_at=AT,
)  # fmt: skip


def new_place(folder: Path, *, has_md5: bool = True) -> SitePlace:
    folder.chmod(0o700)
    paths = DataRoot(folder).session(KEY.user_id, KEY.session_id)
    paths.source.mkdir(parents=True)
    place = SitePlace(paths, MemoryObjects(has_md5=has_md5))
    place.write("index.html", "404.html", "about/index.html", "style.css", "app.3f9a1c2b.js")
    return place

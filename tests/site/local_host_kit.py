"""A data root with one session, its source folder, and the real local host on loopback."""

from __future__ import annotations

import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import requests

from core.clock import SystemClock
from core.config import load_settings
from core.hosts.environment import HostEnvironment
from core.hosts.local_server.client import LocalServer
from core.hosts.registry import find_host
from core.models.release import MARKER_PATH, Published, Release
from core.models.session import Session, SessionKey
from core.models.user import HostProvider, SiteType, User, make_user_id
from core.paths import DataRoot, RuntimePaths, SessionPaths
from core.ports.host import Host, PublishRequest
from core.publish.snapshot import take_release
from core.publish.trees import GitReleaseTrees
from core.store.store import Store, open_store

APP = """
import http.server, os, sys
WORD = {word!r}
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/die":
            os._exit(3)
        body = self.answer().encode()
        self.send_response(200)
        self.send_header("content-type", "text/html; charset=utf-8")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.send_response(201)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def answer(self):
        if self.path == "/env":
            return " ".join(sorted(os.environ))
        if self.path == "/reach":
            return str(os.path.exists({forbidden!r}))
        if self.path == "/write":
            try:
                open("index.html", "w")
                return "wrote"
            except OSError:
                open(os.path.join(os.environ["DATA_DIR"], "kept"), "a").write("x")
                return "refused"
        return WORD
print("starting", WORD)
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


@dataclass
class Site:
    """One session on the local host; `publish` takes a release of its source and puts it up."""

    root: DataRoot
    store: Store
    runtime: RuntimePaths
    session: Session
    host: Host
    server: LocalServer
    runs: int = 0
    previous: Release | None = None
    logged: list[str] = field(default_factory=list)

    @property
    def key(self) -> SessionKey:
        return self.session.key

    @property
    def paths(self) -> SessionPaths:
        return self.root.session(self.key.user_id, self.key.session_id)

    @property
    def folder(self) -> Path:
        return self.root.sites / self.key.user_id / self.key.session_id

    def write(self, path: str, content: str | bytes) -> None:
        file = self.paths.source / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)

    def write_app(self, word: str) -> None:
        self.write("Procfile", "web: exec python app.py\n")
        self.write("app.py", APP.format(word=word, forbidden=str(self.root.store)))

    def take(self) -> Release:
        return take_release(self.key, self.paths, self.paths.source, self.session.site_type)

    def request(
        self, release: Release, cancelled: Callable[[], bool] = lambda: False
    ) -> PublishRequest:
        execution_id = f"{self.key.user_id}_{self.key.session_id}_r{self.runs}"
        return PublishRequest(
            session=self.session,
            execution_id=execution_id,
            idempotency_key=f"{execution_id}:deploy",
            release=release,
            previous=self.previous,
            trees=GitReleaseTrees(self.paths.repository),
            log=lambda message, _details: self.logged.append(message),
            cancelled=cancelled,
        )

    def publish(self, release: Release | None = None) -> Published:
        release = release or self.take()
        self.runs += 1
        request = self.request(release)
        published = self.host.publish(request)
        self.store.releases.add(self.key, release)
        self.store.releases.record_deploy(self.key, request.execution_id, release, published)
        self.store.sessions.set_deployed(
            self.key, url=published.url, at=datetime.now(UTC), count=self.runs,
            block=published.config_block, resources=published.resources,
        )  # fmt: skip
        self.previous = release
        return published


def marker_at(url: str) -> str:
    return requests.get(f"{url}/{MARKER_PATH}", timeout=5).text


@contextmanager
def local_site(site_type: SiteType = SiteType.STATIC, *, isolation: bool = True) -> Iterator[Site]:
    """A site in a data root of its own; the server it starts is ended afterwards."""
    base = Path(tempfile.mkdtemp(prefix="tb-host-"))
    root, runtime = DataRoot(base / "data"), RuntimePaths(base / "run")
    root.path.mkdir(mode=0o700)
    store = open_store(root)
    environment = HostEnvironment(
        root=root, runtime=runtime, store=store, clock=SystemClock(),
        python=Path(sys.executable), environ={},
        settings=load_settings({"isolation": "required" if isolation else "off"}, {}, base),
    )  # fmt: skip
    server = LocalServer(root, runtime, python=Path(sys.executable), clock=SystemClock())
    try:
        yield Site(
            root=root, store=store, runtime=runtime, session=add_session(root, store, site_type),
            host=find_host(HostProvider.LOCAL, site_type, environment), server=server,
        )  # fmt: skip
    finally:
        server.shutdown()
        store.close()
        shutil.rmtree(base, ignore_errors=True)


def add_session(root: DataRoot, store: Store, site_type: SiteType, number: int = 0) -> Session:
    now = datetime.now(UTC)
    user = User(
        user_id=make_user_id("ana@acme.io", "+48600100200"), email="ana@acme.io",
        phone="+48600100200", name=None, created_at=now,
        host_provider=HostProvider.LOCAL, site_type=site_type,
    )  # fmt: skip
    store.users.add(user)
    session = Session(
        key=SessionKey(user.user_id, f"sess_20260112_14223{number}"),
        host_provider=HostProvider.LOCAL, site_type=site_type, created_at=now, updated_at=now,
    )  # fmt: skip
    store.sessions.add(session)
    for folder in root.session(user.user_id, session.key.session_id).folders():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return session


def second_session(site: Site) -> Site:
    """Another session on the same data root and server."""
    session = add_session(site.root, site.store, site.session.site_type, 1)
    return replace(site, session=session, runs=100, previous=None)


def listener_on(port: int) -> socket.socket:
    """Another program that has the port."""
    taken = socket.socket()
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    taken.bind(("127.0.0.1", port))
    taken.listen()
    return taken

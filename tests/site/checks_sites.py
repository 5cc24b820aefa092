"""Small sites on loopback for the checks, good ones and ones with a planted fault."""

from __future__ import annotations

import atexit
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

from core.checks.browser import Browser
from core.clock import SystemClock

HOME_LINK = '<a href="/">Home</a>'
MENU_LINK = '<a href="/menu.html">Menu</a>'


@dataclass(frozen=True)
class Reply:
    """What a route answers; `wait` holds the answer back until the site is closed."""

    body: str | bytes = b""
    status: int = 200
    kind: str = "text/html; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)
    hangs: bool = False
    drips: bool = False


Route = Reply | Callable[[int], Reply]
"""A reply, or one made from how often the path was asked before."""


def page(
    body: str = "<h1>Welcome</h1><p>A page that says enough to be one.</p>",
    *,
    head: str = "",
    menu: bool = False,
    title: str = "A site",
    lang: str = ' lang="en"',
    viewport: str = '<meta name="viewport" content="width=device-width, initial-scale=1">',
) -> Reply:
    """A page without a fault, but for what the arguments plant."""
    links = f"{HOME_LINK} {MENU_LINK}" if menu else HOME_LINK
    return Reply(
        f'<!doctype html><html{lang}><head><meta charset="utf-8"><title>{title}</title>'
        f"{viewport}{head}</head><body><header><nav>{links}</nav></header><main>{body}</main></body></html>"
    )


def good_routes() -> dict[str, Route]:
    """Two pages that link each other."""
    return {"/": page(menu=True), "/menu.html": page("<h1>Menu</h1><p>Soup, bread and tea.</p>")}


class Site:
    """Serves its routes on a free port of loopback while it is entered."""

    def __init__(self, routes: Mapping[str, Route] | None = None, **more: Route) -> None:
        self.routes = dict(good_routes() if routes is None else routes) | more
        self.hits: list[str] = []
        self.closing = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _t: TracebackType | None,
    ) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def reply(self, path: str) -> Reply:
        before = self.hits.count(path)
        self.hits.append(path)
        route = self.routes.get(path, Reply("not here", status=404))
        return route if isinstance(route, Reply) else route(before)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                reply = site.reply(self.path)
                body = reply.body.encode() if isinstance(reply.body, str) else reply.body
                if reply.hangs:
                    site.closing.wait(30)
                self.send_response(reply.status)
                self.send_header("Content-Type", reply.kind)
                self.send_header("Content-Length", str(10**6 if reply.drips else len(body)))
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                while reply.drips and not site.closing.wait(0.05):
                    self.wfile.write(b"x")
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - inherited
                return

            def handle(self) -> None:
                try:
                    super().handle()
                except (BrokenPipeError, ConnectionResetError):
                    return

        return Handler


class QuickClock(SystemClock):
    """Sleeps no time and remembers how long it should have."""

    def __init__(self) -> None:
        self.slept_s = 0.0

    def sleep(self, seconds: float) -> None:
        self.slept_s += seconds


@cache
def shared_browser() -> Browser:
    """One warm browser for all tests of this process."""
    browser = Browser()
    atexit.register(browser.close)
    return browser

"""A dynamic site for tests: a small program in Python, and what viewers get of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import requests

from core.models.user import SiteType
from core.ports.host import AppHost
from tests.cloud.aws.site_kit import CloudSite, PatientClock, cloud_site

CLOCK = PatientClock()
"""One for all, so that they share one login with its clients."""

APP = """
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = " ".join([WORD, os.environ.get("API_KEY", "-")]).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *words):
        pass
WORD = {word!r}
print("starting", WORD, flush=True)
{before}
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


@contextmanager
def dynamic_site(
    settings: Mapping[str, object] | None = None, word: str = "one"
) -> Iterator[CloudSite]:
    with cloud_site(settings, SiteType.DYNAMIC, clock=CLOCK) as site:
        write_app(site, word)
        yield site


def write_app(site: CloudSite, word: str, before: str = "") -> None:
    """A program that says the word; `before` is run before it listens."""
    site.write("Procfile", "web: exec python3 app.py\n")
    site.write("app.py", APP.format(word=word, before=before))


def app_host(site: CloudSite) -> AppHost:
    assert isinstance(site.host, AppHost)
    return site.host


def said(site: CloudSite) -> str:
    """What a viewer gets at the site's address."""
    url = site.session.url
    assert url is not None
    return requests.get(url, timeout=5).text

"""Dynamic sites of the Azure hosts in tests: a small program, changed and looked at."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from core.models.user import HostProvider, SiteType
from core.ports.host import AppHost
from tests.cloud.aws.site_kit import CloudSite, cloud_site
from tests.cloud.azure.machine_world import MachineWorld

PROGRAM = textwrap.dedent(
    """\
    import http.server, os, sys

    SAYS = {says!r}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            said = os.environ.get("GREETING", SAYS).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def do_POST(self):
            said = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(201)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *words):
            print("asked for", self.path, file=sys.stderr, flush=True)

    print("program began", flush=True)
    http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
    """
)


def write_program(site: CloudSite, says: str, program: str = PROGRAM) -> None:
    site.write("Procfile", "web: python3 app.py\n")
    site.write("app.py", program.format(says=says))


@contextmanager
def dynamic_site(
    world: MachineWorld, settings: Mapping[str, object] | None = None
) -> Iterator[CloudSite]:
    """A data root with one session whose host is this Azure, and a program that says `one`."""
    chosen = {"azure.cloud": world.setting, **(settings or {})}
    with cloud_site(chosen, SiteType.DYNAMIC, HostProvider.AZURE, world.clock) as site:
        write_program(site, "one")
        yield site


def app_host(site: CloudSite) -> AppHost:
    assert isinstance(site.host, AppHost)
    return site.host

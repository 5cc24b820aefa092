"""The agent on Azure: blobs and secrets by the instance's own identity, and nowhere else."""

from __future__ import annotations

import datetime as dt
import http.server
import ipaddress
import json
import os
import ssl
import subprocess
import sys
import threading
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from core.errors import CloudRefusedError, CloudUnreachableError
from core.hosts.instance.agent_program import agent_program
from core.hosts.instance.commands import (
    AppState,
    Instance,
    answer_of,
    release_command,
    variables_command,
)
from core.hosts.instance.variables import secret_name
from tests.site.instance_kit import InstanceUnderTest, app_files, instance, text

STORAGE = "https://storage.azure.com/"


class Cloud:
    """Metadata, one container and one vault, strict about how they are asked."""

    def __init__(self, folder: Path) -> None:
        self.blobs: dict[str, bytes] = {}
        self.secrets: dict[str, str] = {}
        self.disabled: set[str] = set()
        self.redirects = False
        self.refuses = False
        self.seen: list[str] = []
        self._servers = [self._started(Metadata, None), self._started(Service, folder)]
        self.metadata, self.service = (server.server_port for server in self._servers)

    def _started(
        self, handler: type[http.server.BaseHTTPRequestHandler], folder: Path | None
    ) -> http.server.ThreadingHTTPServer:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.cloud = self  # type: ignore[attr-defined]
        if folder is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(folder / "leaf.pem", folder / "leaf.key")
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return server

    def close(self) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()


class Answering(http.server.BaseHTTPRequestHandler):
    @property
    def cloud(self) -> Cloud:
        return self.server.cloud  # type: ignore[attr-defined, no-any-return]

    def say(self, status: int, content: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        pass


class Metadata(Answering):
    def do_GET(self) -> None:
        asked = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(asked.query))
        if (
            self.headers.get("Metadata") != "true"
            or asked.path != "/metadata/identity/oauth2/token"
        ):
            self.say(400, b"{}")
            return
        assert query.keys() == {"api-version", "resource"}
        token = {"access_token": f"tok3n of {query['resource']}", "token_type": "Bearer"}
        self.say(200, json.dumps(token).encode())


class Service(Answering):
    def do_GET(self) -> None:
        path, query = self.path.partition("?")[::2]
        self.cloud.seen.append(path)
        bearer = self.headers.get("Authorization", "")
        if self.cloud.redirects:
            self.say(302, b"", Location="https://127.0.0.1:1/elsewhere")
        elif self.cloud.refuses:
            self.say(403, b"AuthorizationPermissionMismatch")
        elif path.startswith("/acct/releases/"):
            self._blob(path, bearer)
        else:
            self._vault(path, query, bearer)

    def _blob(self, path: str, bearer: str) -> None:
        if bearer != f"Bearer tok3n of {STORAGE}" or not self.headers.get("x-ms-version"):
            self.say(401, b"")
            return
        content = self.cloud.blobs.get(path.removeprefix("/acct/releases/"))
        self.say(404 if content is None else 200, content or b"")

    def _vault(self, path: str, query: str, bearer: str) -> None:
        if bearer != "Bearer tok3n of https://0.0.1" or not query.startswith("api-version="):
            self.say(401, b"")
        elif path == "/secrets":
            names = sorted(self.cloud.secrets)
            base = f"https://127.0.0.1:{self.server.server_port}"  # type: ignore[attr-defined]
            at = int(dict(urllib.parse.parse_qsl(query)).get("$skiptoken", "0"))
            rows = [
                {"id": f"{base}/secrets/{name}",
                 "attributes": {"enabled": name not in self.cloud.disabled}}
                for name in names[at : at + 2]
            ]  # fmt: skip
            following = f"{base}/secrets?api-version=7.4&$skiptoken={at + 2}"
            more = following if at + 2 < len(names) else None
            self.say(200, json.dumps({"value": rows, "nextLink": more}).encode())
        else:
            name = path.removeprefix("/secrets/")
            self.say(200, json.dumps({"value": self.cloud.secrets[name]}).encode())


def certificates(folder: Path) -> None:
    """An authority, and a leaf of it for the loopback address."""
    keys = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("authority", "leaf")}
    now = dt.datetime.now(dt.UTC)
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")])
    for name, key in keys.items():
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=name == "authority", path_length=None), True)
            .add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
                critical=False,
            )
        )
        signed = builder.sign(keys["authority"], hashes.SHA256())
        (folder / f"{name}.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        (folder / f"{name}.key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )


class Site:
    """An instance, its cloud, and the commands that this cloud runs on it."""

    def __init__(self, one: InstanceUnderTest, cloud: Cloud, folder: Path) -> None:
        self.one = one
        self.cloud = cloud
        base = f"https://127.0.0.1:{cloud.service}"
        self.instance = Instance(
            store_url=f"{base}/acct/releases", variables=f"keyvault:{base}", root=str(one.root)
        )
        programs = one.base / "programs"
        programs.mkdir()
        (programs / "python3").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        (programs / "python3").chmod(0o755)
        self.environ = {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "SSL_CERT_FILE": str(folder / "authority.pem"),
            "TMUX_BUILDER_IMDS": f"http://127.0.0.1:{cloud.metadata}",
            "https_proxy": "http://127.0.0.1:1",
            "no_proxy": "127.0.0.1",
        }
        cloud.blobs[agent_program().key] = agent_program().content

    def run(self, command: str) -> str:
        done = subprocess.run(
            ["/bin/sh"], input=command, check=False, capture_output=True, text=True,
            env=self.environ, timeout=60,
        )  # fmt: skip
        assert not done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("certificates")
    certificates(folder)
    with instance() as one:
        cloud = Cloud(folder)
        yield Site(one, cloud, folder)
        cloud.close()


@pytest.fixture(autouse=True)
def friendly(site: Site) -> None:
    site.cloud.redirects = site.cloud.refuses = False


def test_agent_release_and_variables_come_by_the_instances_identity(site: Site) -> None:
    (site.one.root / "agent.pyz").write_bytes(b"an older agent")
    site.cloud.secrets = {secret_name(f"KEY_{number}"): f"v{number}" for number in range(5)}
    site.cloud.secrets[secret_name("API_KEY")] = "from the vault"
    site.cloud.disabled = {secret_name("KEY_3")}
    archive = site.one.archive(app_files("on azure"))
    site.cloud.blobs[archive.key] = archive.path.read_bytes()
    answer = answer_of(site.run(release_command(site.instance, archive)))
    assert (answer.app, answer.changed, answer.variables) == (AppState.RUNNING, True, 5)
    assert text(f"{site.one.url}/key") == "from the vault"
    assert text(site.one.url) == "on azure"


def test_a_token_does_not_follow_a_redirect(site: Site) -> None:
    site.cloud.redirects = True
    with pytest.raises(CloudUnreachableError, match="answered 302"):
        answer_of(site.run(variables_command(site.instance)))


def test_a_missing_role_is_told_from_a_missing_answer(site: Site) -> None:
    site.cloud.refuses = True
    with pytest.raises(CloudRefusedError, match="answered 403"):
        answer_of(site.run(variables_command(site.instance)))
    site.cloud.refuses = False
    missing = site.one.archive(app_files("not stored"))
    with pytest.raises(CloudUnreachableError, match="answered 404"):
        answer_of(site.run(release_command(site.instance, missing)))


def test_no_token_is_in_what_is_kept_or_said(site: Site) -> None:
    said = site.run(variables_command(site.instance))
    holding = [
        path for path in site.one.base.rglob("*")
        if path.is_file() and b"tok3n of" in path.read_bytes()
    ]  # fmt: skip
    assert "tok3n of" not in said
    assert not holding


def test_an_instance_without_an_identity_is_said(site: Site) -> None:
    environ, site.environ = (
        site.environ,
        {**site.environ, "TMUX_BUILDER_IMDS": "http://127.0.0.1:1"},
    )
    try:
        with pytest.raises(CloudUnreachableError, match="gets no token"):
            answer_of(site.run(variables_command(site.instance)))
    finally:
        site.environ = environ

"""Secrets planted wherever an operator has them, and a search for every place they got to.

What is found is told by place and by name of the secret, never by its value.
"""

from __future__ import annotations

import http.client
import http.server
import json
import os
import secrets
import subprocess
import threading
import zipfile
import zlib
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from urllib.parse import quote, urlsplit

from core.paths import RuntimePaths

LOOK_EVERY_S = 0.02
FAIL_WORD, ECHO_WORD = "FAIL-NOW", "ECHO-NOW"
"""A prompt with the first is refused for its key; one with the second for itself."""

_REFUSED = {ECHO_WORD.encode(): 400, FAIL_WORD.encode(): 401}
_OPERATORS = (b"tmux_bridge.worker", b"tmux-builder\0", b"tui.cli")
"""The worker holds the clouds' logins; a verb has the environment of whoever called it."""
_TAIL = 20
"""What the CLI itself writes down of a key that it has been allowed to use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """One secret. `name` is what a finding calls it."""

    name: str
    value: str

    def forms(self) -> tuple[bytes, ...]:
        """As it is, as a URL writes it, and as Base64 does at each of its three offsets."""
        raw = self.value.encode()
        inner = [b64encode(b"\0" * lead + raw)[4 if lead else 0 : -4] for lead in range(3)]
        return tuple({raw, quote(self.value, safe="").encode(), *(one for one in inner if one)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """Distinct values in the form of the real ones."""

    token: Planted
    aws_id: Planted
    aws_secret: Planted
    aws_session: Planted
    aws_file: Planted
    azure: Planted
    proxy: Planted
    variable: Planted

    def all(self) -> tuple[Planted, ...]:
        return (
            self.token, self.aws_id, self.aws_secret, self.aws_session, self.aws_file, self.azure,
            self.proxy, self.variable,
        )  # fmt: skip


def new_secrets(prefix: str) -> Secrets:
    def made(name: str, value: str) -> Planted:
        return Planted(name=name, value=value)

    return Secrets(
        token=made("claude token", f"{prefix}-{secrets.token_hex(40)}"),
        aws_id=made("aws key id", f"AKIA{secrets.token_hex(8).upper()}"),
        aws_secret=made("aws secret", secrets.token_hex(16).upper() + "wxyz/+ab"),
        aws_session=made("aws session token", secrets.token_hex(60)),
        aws_file=made("secret in ~/.aws", secrets.token_hex(16).upper() + "stuv/+cd"),
        azure=made("azure client secret", f"Qz8~{secrets.token_hex(16)}.x"),
        proxy=made("proxy password", f"pw{secrets.token_hex(12)}"),
        variable=made("site variable", f"var-{secrets.token_hex(16)}"),
    )


def plant(planted: Secrets, home: Path) -> dict[str, str]:
    """The environment that holds them, but for Claude's token; writes the AWS file."""
    (home / ".aws").mkdir(parents=True)
    (home / ".aws" / "credentials").write_text(
        f"[sunwaretech]\naws_access_key_id = AKIAFILEFILEFILEFILE\n"
        f"aws_secret_access_key = {planted.aws_file.value}\n"
    )
    return {
        "AWS_ACCESS_KEY_ID": planted.aws_id.value,
        "AWS_SECRET_ACCESS_KEY": planted.aws_secret.value,
        "AWS_SESSION_TOKEN": planted.aws_session.value,
        "AZURE_CLIENT_SECRET": planted.azure.value,
        "HTTPS_PROXY": f"http://operator:{planted.proxy.value}@127.0.0.1:9",
        "NO_PROXY": "127.0.0.1,localhost",
    }


@dataclass
class Sampler:
    """Looks at every process of the computer until it is stopped."""

    planted: Secrets
    found: set[str] = field(default_factory=set)
    token_holders: set[str] = field(default_factory=set)
    """Programs in whose environment Claude's token was seen, to know that it arrived."""

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._seen: dict[int, bytes] = {}
        self._own = _ancestors(os.getpid())

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(30)

    def _run(self) -> None:
        while not self._stop.wait(LOOK_EVERY_S):
            for process in Path("/proc").glob("[0-9]*"):
                with suppress(OSError):
                    self._look(int(process.name), process)

    def _look(self, pid: int, process: Path) -> None:
        command = (process / "cmdline").read_bytes()
        if not command or pid in self._own or self._seen.get(pid) == command:
            return
        environment = (process / "environ").read_bytes()
        self._seen[pid] = command
        words = command.split(b"\0")
        program = b" ".join(words[:4]).decode(errors="replace")
        for one in self.planted.all():
            if any(form in command for form in one.forms()):
                self.found.add(f"{one.name} in the arguments of {_masked_program(words)}")
            if not any(form in environment for form in one.forms()):
                continue
            if one is self.planted.token:
                self.token_holders.add(Path(words[0].decode(errors="replace")).name)
            if not self._may_hold(one, command, environment):
                self.found.add(f"{one.name} in the environment of {program[:120]}")

    def _may_hold(self, one: Planted, command: bytes, environment: bytes) -> bool:
        """The operator's own programs; a pane its token and proxy; a site's program its variables.

        A pane and a program are known by their environment, which is made from nothing: neither
        has another of the secrets.
        """
        if any(name in command for name in _OPERATORS):
            return True
        others = [
            other.name
            for other in self.planted.all()
            if any(form in environment for form in other.forms())
        ]
        is_pane = b"TMUX_BUILDER_SESSION_DIR=" in environment
        if is_pane and one in (self.planted.token, self.planted.proxy):
            return set(others) <= {self.planted.token.name, self.planted.proxy.name}
        is_program = b"\0PORT=" in b"\0" + environment
        return is_program and others == [self.planted.variable.name]


def found_in_files(planted: Secrets, folder: Path, allowed: frozenset[Path]) -> list[str]:
    """Every secret in a file below `folder`; packed and zipped content is looked into."""
    places = []
    for path in sorted(folder.rglob("*")):
        if path in allowed or path.is_symlink() or not path.is_file():
            continue
        content = b"\n".join(_contents(path))
        is_claudes = "/claude/" in f"/{path.relative_to(folder)}"
        places += [
            f"{one.name} in {path.relative_to(folder)}"
            for one in planted.all()
            if any(form in content for form in one.forms())
            # The service repeats the key, and Claude writes down what the service said.
            and not (one is planted.token and is_claudes and path.suffix == ".jsonl")
        ]
        if not is_claudes and planted.token.value[-_TAIL:].encode() in content:
            places.append(f"end of the {planted.token.name} in {path.relative_to(folder)}")
    return places


def found_in_text(planted: Secrets, where: str, text: str) -> list[str]:
    raw = text.encode()
    return [
        f"{one.name} in {where}"
        for one in planted.all()
        if any(form in raw for form in one.forms())
    ]


def found_in_tmux(planted: Secrets, runtime: RuntimePaths) -> list[str]:
    """What the server and each of its sessions would hand to a new pane, and its buffers."""

    def ask(*arguments: str) -> str:
        done = subprocess.run(
            ["tmux", "-S", str(runtime.tmux_socket), *arguments], check=False,
            capture_output=True, text=True, timeout=20,
        )  # fmt: skip
        return done.stdout

    names = ask("list-sessions", "-F", "#{session_name}").split()
    assert names, "the tmux server is to be looked at while it runs"
    texts = [ask("show-environment", "-g"), ask("list-buffers"), ask("show-options", "-g")]
    texts += [ask("show-environment", "-t", f"={name}") for name in names]
    return found_in_text(planted, "tmux", "\n".join(texts))


class EchoingApi:
    """Passes requests on to a Messages API; one with the fail word is refused, its key repeated."""

    def __init__(self, upstream: str, planted: Planted) -> None:
        self.keys: set[str] = set()
        api, port = self, urlsplit(upstream).port

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                key = self.headers.get("x-api-key") or self.headers.get("authorization") or ""
                api.keys.add(key.removeprefix("Bearer "))
                # Refused prompts stay in the conversation: the newest word counts.
                places = {body.rfind(word): status for word, status in _REFUSED.items()}
                newest = max(places)
                if newest >= 0:
                    status = places[newest]
                    self._answer(status, "application/json", _refusal(status, planted.value))
                    return
                near = http.client.HTTPConnection("127.0.0.1", port or 80, timeout=60)
                sent = {k: v for k, v in self.headers.items() if k.lower() != "host"}
                near.request("POST", self.path, body, sent)
                answer = near.getresponse()
                kind = answer.getheader("content-type") or "application/json"
                self._answer(answer.status, kind, answer.read())
                near.close()

            def do_GET(self) -> None:
                self._answer(200, "application/json", b"{}")

            def do_HEAD(self) -> None:
                self.do_GET()

            def _answer(self, status: int, kind: str, content: bytes) -> None:
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    @contextmanager
    def running(self) -> Iterator[EchoingApi]:
        thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()


def _refusal(status: int, key: str) -> bytes:
    kind = {400: "invalid_request_error", 401: "authentication_error"}[status]
    message = f"the key {key} may not do this"
    return json.dumps({"type": "error", "error": {"type": kind, "message": message}}).encode()


@contextmanager
def echoing_cloud(planted: Secrets) -> Iterator[str]:
    """An AWS that refuses everything and repeats what it was asked with."""
    known = " ".join(one.value for one in (planted.aws_secret, planted.aws_session,
                                           planted.aws_file, planted.azure))  # fmt: skip
    content = (
        "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code>"
        f"<Message>{planted.aws_id.value} with {known} may not.</Message></Error></ErrorResponse>"
    ).encode()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            self.send_response(403)
            self.send_header("content-type", "text/xml")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def _contents(path: Path) -> Iterator[bytes]:
    with suppress(OSError):
        content = path.read_bytes()
        yield content
        if path.suffix == ".zip":
            with zipfile.ZipFile(BytesIO(content)) as bundle:
                yield from (bundle.read(name) for name in bundle.namelist())
        elif "objects" in path.parts:
            with suppress(zlib.error):
                yield zlib.decompress(content)


def _ancestors(pid: int) -> set[int]:
    """A process and those above it: they planted the secrets."""
    found = set()
    while pid > 0:
        found.add(pid)
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            break
    return found


def _masked_program(words: list[bytes]) -> str:
    return Path(words[0].decode(errors="replace")).name

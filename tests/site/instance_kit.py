"""An instance's agent on a scratch root: the shipped file, run by a Python, with real programs."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from core.clock import wait_for
from core.hosts.instance.agent_program import agent_program
from core.hosts.instance.archive import ReleaseArchive, write_archive
from core.models.release import MARKER_PATH
from core.models.session import SessionKey
from core.models.user import SiteType
from core.paths import DataRoot
from core.publish.snapshot import take_release
from core.publish.trees import GitReleaseTrees

PYTHON_APP = """
import http.server, os, sys, time
WORD = {word!r}
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        if self.path == "/die":
            print("dying of", WORD, flush=True)
            os._exit(3)
        if self.path == "/slow":
            print("asked slowly", flush=True)
            time.sleep(0.5)
        self.say(os.environ.get("API_KEY", WORD) if self.path == "/key" else WORD)
    def do_HEAD(self):
        self.send_response(200)
        self.send_header("content-length", "5")
        self.end_headers()
    def do_POST(self):
        left, size = int(self.headers.get("content-length", 0)), 0
        if self.headers.get("transfer-encoding") == "chunked":
            while n := int(self.rfile.readline(), 16):
                size += len(self.rfile.read(n))
                self.rfile.readline()
            self.rfile.readline()
        else:
            size = len(self.rfile.read(left))
        self.say(str(size))
    def say(self, text):
        body = text.encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *parts):
        pass
print("starting", WORD, flush=True)
class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128
Server(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""
WEB = "web: exec python3 app.py\n"


def app_files(word: str, web: str = WEB) -> dict[str, str]:
    """A site whose program answers with the word."""
    return {"Procfile": web, "app.py": PYTHON_APP.format(word=word)}


@dataclass
class InstanceUnderTest:
    """A scratch root, its serving agent, and releases made by the product itself."""

    root: Path
    base: Path
    python: str = sys.executable
    environ: dict[str, str] = field(default_factory=lambda: {"PATH": os.environ["PATH"]})
    serving: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.status()['port']}"

    def archive(self, files: Mapping[str, str | bytes]) -> ReleaseArchive:
        """The archive of a release taken from these files."""
        source = Path(tempfile.mkdtemp(dir=self.base))
        for name, content in files.items():
            target = source / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content.encode() if isinstance(content, str) else content)
        paths = DataRoot(self.base / "data").session("user", "sess_20260112_142230")
        key = SessionKey("user", "sess_20260112_142230")
        release = take_release(key, paths, source, SiteType.DYNAMIC)
        folder = Path(tempfile.mkdtemp(dir=self.base))
        return write_archive(release, GitReleaseTrees(paths.repository), folder / "archive")

    def crafted(self, members: list[tarfile.TarInfo]) -> ReleaseArchive:
        """An archive as the product would never write it."""
        path = write_tar(Path(tempfile.mkdtemp(dir=self.base)) / "archive", members)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        return ReleaseArchive(
            release_id=digest[:20], path=path, sha256=digest, size_bytes=path.stat().st_size
        )

    def command(self, *words: str) -> list[str]:
        return [self.python, str(self.root / "agent.pyz"), "--root", str(self.root), *words]

    def run(self, *words: str) -> dict[str, Any]:
        done = subprocess.run(
            self.command(*words), check=False, capture_output=True, text=True, timeout=60,
            env=self.environ,
        )  # fmt: skip
        assert done.stdout.strip(), done.stderr
        line = done.stdout.splitlines()[-1]
        assert len(line) < 3500
        answer: dict[str, Any] = json.loads(line)
        assert done.returncode == (0 if answer["ok"] else 1), done.stderr
        return answer

    def words(self, archive: ReleaseArchive, *more: str, source: str | None = None) -> list[str]:
        return [
            "release", "--id", archive.release_id, "--sha256", archive.sha256,
            "--size", str(archive.size_bytes), "--source", source or archive.path.as_uri(), *more,
        ]  # fmt: skip

    def release(self, archive: ReleaseArchive, *more: str) -> dict[str, Any]:
        return self.run(*self.words(archive, *more))

    def deploy(self, files: Mapping[str, str | bytes]) -> str:
        """Serve these files; the release's id."""
        archive = self.archive(files)
        answer = self.release(archive)
        assert answer["ok"], answer
        return archive.release_id

    def status(self) -> dict[str, Any]:
        return self.run("status")

    def serve(self) -> None:
        log = (self.base / "agent.log").open("ab")
        with log:
            self.serving = subprocess.Popen(
                self.command("serve"), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=self.environ,
            )  # fmt: skip
        assert wait_for(lambda: self.status().get("agent") is not None, deadline_s=20)

    def kill(self) -> None:
        """Kill the serving agent as the system's last resort would."""
        assert self.serving is not None
        self.serving.kill()
        self.serving.wait()

    def processes(self) -> set[int]:
        """Everything that runs in the scratch root but the agent itself."""
        found = set()
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                where = str((folder / "cwd").readlink())
            except OSError:
                continue
            if where.startswith(str(self.root)):
                found.add(int(folder.name))
        return found


def write_tar(path: Path, members: list[tarfile.TarInfo]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for member in members:
            archive.addfile(member, io.BytesIO(b"x" * member.size))
    return path


def text(url: str) -> str:
    answer = requests.get(url, timeout=30)
    assert answer.status_code == 200, answer.text
    return answer.text


def marker(url: str) -> str:
    return requests.get(f"{url}/{MARKER_PATH}", timeout=30).text


@contextmanager
def instance(
    *, start_s: float = 20, user: str | None = None, python: str = sys.executable
) -> Iterator[InstanceUnderTest]:
    """An agent that serves nothing yet; all that it started is ended afterwards."""
    base = Path(tempfile.mkdtemp(prefix="tb-agent-"))
    base.chmod(0o755)
    one = InstanceUnderTest(root=base / "root", base=base, python=python)
    one.root.mkdir(mode=0o755)
    (one.root / "agent.pyz").write_bytes(agent_program().content)
    users = [] if user is None else ["--user", user]
    try:
        assert one.run("install", "--port", "0", "--start-seconds", str(start_s), *users)["ok"]
        one.serve()
        yield one
    finally:
        if one.serving is not None and one.serving.poll() is None:
            one.serving.terminate()
            one.serving.wait(timeout=30)
        shutil.rmtree(base, ignore_errors=True)

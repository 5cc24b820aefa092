"""The computers behind instances: one that really runs the agent, and a quick one that acts it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from core.hosts.instance.agent_program import agent_program
from core.hosts.instance.commands import ROOT
from core.hosts.instance.variables import ORIGIN_HEADER, ORIGIN_KEY
from core.models.release import MARKER_PATH
from tests.cloud.aws.instance_rights import INSTANCE_KEY

_POLL_S = 0.02
_SERVE = """\
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.set_inheritable(3, True)
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""


class RealMachine:
    """A scratch root of this computer; a thread is its systemd: a socket, and a unit behind it.

    Its `aws` program speaks to the stand-in with the instance's own login. User data runs with
    programs of its own too, so that nothing of this computer is changed.
    """

    def __init__(self, instance_id: str, user_data: str, endpoint: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="tb-ec2-"))
        self.root = self.folder / "root"
        self.root.mkdir()
        self._programs = self.folder / "bin"
        self._programs.mkdir()
        _write_program(self._programs / "aws", _aws_text(instance_id, endpoint))
        # A version manager's python3 would put its own programs before these.
        (self._programs / "python3").symlink_to(Path(sys.executable).resolve())
        self.first_start = self._first_start(user_data)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self._ending = threading.Event()
        self._unit: subprocess.Popen[bytes] | None = None
        self._systemd = threading.Thread(target=self._keep_unit, daemon=True)
        self._systemd.start()

    def run(self, text: str, timeout_s: int) -> tuple[int, str]:
        """What SSM's agent does with a command: a file, run by its own first line, as root."""
        script = self.folder / "_script.sh"
        script.write_text(text.replace(f"'{ROOT}'", f"'{self.root}'"))
        done = subprocess.run(
            ["sh", str(script)], env=self._environment(), stdin=subprocess.DEVNULL,
            capture_output=True, check=False, timeout=timeout_s,
        )  # fmt: skip
        return done.returncode, done.stdout.decode()

    def close(self) -> None:
        self._ending.set()
        self._systemd.join()
        self._stop_unit()
        self._listener.close()
        self._end_noted()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _environment(self) -> dict[str, str]:
        return {"PATH": f"{self._programs}{os.pathsep}{os.environ['PATH']}", "HOME": "/root"}

    def _first_start(self, user_data: str) -> list[str]:
        """Run user data where its programs only note what they are asked; the notes."""
        programs, notes = self.folder / "first", self.folder / "notes"
        programs.mkdir()
        for name in ("dnf", "systemctl", "sed"):
            _write_program(programs / name, f'#!/bin/sh\necho "{name} $*" >>"{notes}"\n')
        script = self.folder / "user-data.sh"
        script.write_text(user_data)
        subprocess.run(
            ["/bin/sh", str(script)], env={"PATH": str(programs)}, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True, timeout=30,
        )  # fmt: skip
        return notes.read_text().splitlines() if notes.exists() else []

    def _keep_unit(self) -> None:
        agent, settings = self.root / "agent.pyz", self.root / "settings.json"
        served = None
        while not self._ending.wait(_POLL_S):
            with contextlib.suppress(OSError):
                wanted = agent.stat().st_ino if settings.exists() else None
                is_down = self._unit is None or self._unit.poll() is not None
                if wanted is not None and (is_down or wanted != served):
                    self._stop_unit()
                    self._unit, served = self._start_unit(agent), wanted

    def _start_unit(self, agent: Path) -> subprocess.Popen[bytes]:
        handle = self._listener.fileno()
        command = [sys.executable, "-c", _SERVE, str(handle), str(agent)]
        with (self.folder / "unit.log").open("ab") as log:
            return subprocess.Popen(
                [*command, "--root", str(self.root), "serve"], env=self._environment(),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=(handle,),
                start_new_session=True,
            )  # fmt: skip

    def _stop_unit(self) -> None:
        if self._unit is None:
            return
        self._unit.terminate()
        try:
            self._unit.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._unit.kill()
            self._unit.wait()

    def _end_noted(self) -> None:
        """Programs of an agent that could not end them."""
        for note in (self.root / "processes").glob("*"):
            with contextlib.suppress(OSError, ValueError):
                os.killpg(int(note.name), signal.SIGKILL)


class QuickMachine:
    """Acts the agent: the same checks of store and variables, without a process.

    Args:
        fetch: An object of the session's bucket by its `s3://` address, as the instance gets it.
        variables: Values below a path, as the instance gets them.
    """

    def __init__(
        self, fetch: Callable[[str], bytes | None], variables: Callable[[str], dict[str, str]]
    ) -> None:
        self.release_id: str | None = None
        self.variables: dict[str, str] = {}
        self.key: str | None = None
        """Who does not show it is refused."""
        self.agent = "-"
        self._fetch = fetch
        self._variables = variables
        self._kept: set[str] = set()
        self._server = _marker_server(self)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self._thread.start()

    def run(self, text: str, timeout_s: int) -> tuple[int, str]:
        found = re.search(r"^exec python3 - (.*) <<", text, re.MULTILINE)
        assert found is not None
        _root, _region, url, sha256, command, *words = shlex.split(found[1])
        named = dict(zip(words[::2], words[1::2], strict=True))
        try:
            self._update(url, sha256)
            changed = self._do(command, named)
        except LookupError as error:
            problem = {"code": str(error.args[-1]), "message": f"{error}"}
            return 1, json.dumps({"ok": False, "error": problem})
        answer: dict[str, Any] = {
            "ok": True, "release": self.release_id, "changed": changed, "restarts": 0,
            "app": "none" if self.release_id is None else "running", "agent": self.agent,
            "guard": "open" if self.key is None else "key",
            "variables": len(self.variables), "error": None, "log": [],
        }  # fmt: skip
        return 0, json.dumps(answer) + "\n"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _update(self, url: str, sha256: str) -> None:
        if sha256 in ("-", self.agent):
            return
        self._proven(url, sha256)
        self.agent = sha256
        assert sha256 == agent_program().sha256

    def _do(self, command: str, named: dict[str, str]) -> bool:
        before = (self.release_id, self.variables)
        if command == "release" and named["--id"] not in self._kept:
            self._proven(named["--source"], named["--sha256"])
            self._kept.add(named["--id"])
        if "--variables" in named:
            self.variables = self._variables(named["--variables"].removeprefix("ssm:"))
            key = self.variables.pop(ORIGIN_KEY, None)
            self._take_guard(named.get("--guard"), key)
        if command == "release":
            self.release_id = named["--id"]
        return before != (self.release_id, self.variables)

    def _take_guard(self, asked: str | None, key: str | None) -> None:
        if asked == "key" and key is None:
            raise LookupError("no key", "no_origin_key")
        if asked is not None:
            self.key = key if asked == "key" else None

    def _proven(self, url: str, sha256: str) -> None:
        content = self._fetch(url)
        if content is None or hashlib.sha256(content).hexdigest() != sha256:
            raise LookupError(f"{url} is not what it should be", "fetch_failed")


def _marker_server(machine: QuickMachine) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            shown = self.headers.get_all(ORIGIN_HEADER) or []
            if machine.key is not None and shown != [machine.key]:
                self.send_error(403)
                return
            is_marker = self.path == f"/{MARKER_PATH}" and machine.release_id is not None
            body = str(machine.release_id).encode() if is_marker else b"served by the program"
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
            """Nothing goes to stderr."""

    return ThreadingHTTPServer(("127.0.0.1", 0), Handler)


def _write_program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def _aws_text(instance_id: str, endpoint: str) -> str:
    """The `aws` program of the instance: what the agent uses of it, with the instance's login."""
    source = (Path(__file__).parent / "aws_program.txt").read_text()
    lines = [f"#!{sys.executable} -IS", f"ENDPOINT = {endpoint!r}"]
    return "\n".join([*lines, f"KEY = {INSTANCE_KEY + instance_id!r}", source])

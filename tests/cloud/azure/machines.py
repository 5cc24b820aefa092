"""Machines that really do what they are told: each has a folder of this computer for its own.

A script runs as it is, with the folder instead of the agent's place, and with the machine's
identity from a metadata service on loopback. What systemd does there is done here: the public port
is open from the start, and the agent serves on it as soon as it is installed.
"""

from __future__ import annotations

import http.client
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

from core.hosts.instance.commands import ROOT
from tests.cloud.azure.serving import Answer, Asked, LoopbackServer, json_answer
from tests.cloud.azure.tokens import make_token

KEEPER = Path(__file__).with_name("machine_keeper.py")
BOOTED_S = 20.0

_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}


class Machine:
    """One machine."""

    def __init__(self, folder: Path, authority: Path, principal: str) -> None:
        self.folder = folder
        self.principal = principal
        self.is_running = False
        self._authority = authority
        self._metadata = LoopbackServer(self._identify)
        self._port = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._agent: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        folder.mkdir(parents=True)

    def start(self) -> None:
        self.is_running = True
        self._serve_if_installed()

    def stop(self) -> None:
        self.is_running = False
        with self._lock:
            agent, self._agent = self._agent, None
        if agent is not None:
            assert agent.stdin is not None
            agent.stdin.close()
            agent.wait(timeout=30)

    def remove(self) -> None:
        self.stop()
        self._port.close()
        self._metadata.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def execute(self, script: str, timeout_s: float) -> tuple[str, int, str]:
        """As root would on the machine, within its folder."""
        text = script.replace(f"'{ROOT}'", f"'{self.folder}'")
        with tempfile.TemporaryFile() as printed:
            running = subprocess.Popen(
                ["sh"], stdin=subprocess.PIPE, stdout=printed, stderr=subprocess.DEVNULL,
                env=self._environment(), cwd=self.folder,
            )  # fmt: skip
            assert running.stdin is not None
            with suppress(BrokenPipeError):
                running.stdin.write(text.encode())
                running.stdin.close()
            code = self._followed(running, timeout_s)
            printed.seek(0)
            said = printed.read().decode(errors="replace")
        if code is None:
            return "TimedOut", -1, said
        return ("Succeeded" if code == 0 else "Failed"), code, said

    def answer(self, asked: Asked) -> Answer:
        if not self.is_running:
            return Answer(status=500, dropped=True)
        port = self._port.getsockname()[1]
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        headers = {name: value for name, value in asked.headers.items() if name not in _HOP}
        try:
            connection.request(asked.method, asked.target, asked.body or None, headers)
            response = connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException):
            return Answer(status=500, dropped=True)
        finally:
            connection.close()
        kept = {name: value for name, value in response.getheaders() if name.lower() not in _HOP}
        return Answer(status=response.status, body=body, headers=kept)

    def _followed(self, running: subprocess.Popen[bytes], timeout_s: float) -> int | None:
        """The script's exit code, None where it took too long; the agent starts meanwhile."""
        ends = time.monotonic() + timeout_s
        while True:
            with suppress(subprocess.TimeoutExpired):
                return running.wait(timeout=0.02)
            self._serve_if_installed()
            if time.monotonic() > ends:
                running.kill()
                running.wait()
                return None

    def _serve_if_installed(self) -> None:
        agent = self.folder / "agent.pyz"
        with self._lock:
            is_there = agent.exists() and (self.folder / "settings.json").exists()
            if self._agent is not None or not is_there or not self.is_running:
                return
            python = shutil.which("python3") or sys.executable
            self._agent = subprocess.Popen(
                [
                    sys.executable, str(KEEPER), str(self._port.fileno()), python, str(agent),
                    "--root", str(self.folder), "serve",
                ],
                stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                pass_fds=(self._port.fileno(),), env=self._environment(), cwd=self.folder,
            )  # fmt: skip

    def _identify(self, asked: Asked) -> Answer:
        """The machine's metadata service."""
        is_asked = asked.path == "/metadata/identity/oauth2/token" and "resource" in asked.query
        if asked.headers.get("metadata") != "true" or "api-version" not in asked.query:
            return json_answer(400, {"error": "invalid_request"})
        if not is_asked or not self.principal:
            return json_answer(404, {"error": "not_found"})
        token = make_token(asked.query["resource"].rstrip("/"), self.principal)
        return json_answer(200, {"access_token": token, "token_type": "Bearer"})

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"], "HOME": str(self.folder), "LANG": "C.UTF-8",
            "TMUX_BUILDER_IMDS": self._metadata.url, "SSL_CERT_FILE": str(self._authority),
        }  # fmt: skip


class Machines:
    """All machines of one Azure, by their ids."""

    def __init__(self, authority: Path) -> None:
        self._authority = authority
        self._base = Path(tempfile.mkdtemp(prefix="tb-vm-", dir="/tmp"))
        self._machines: dict[str, Machine] = {}
        self._number = 0

    def boot(self, machine_id: str, principal: str) -> None:
        key = machine_id.lower()
        if key not in self._machines:
            self._number += 1
            folder = self._base / f"m{self._number}"
            self._machines[key] = Machine(folder, self._authority, principal)
        self._machines[key].principal = principal
        self._machines[key].start()

    def stop(self, machine_id: str) -> None:
        self._machines[machine_id.lower()].stop()

    def remove(self, machine_id: str) -> None:
        machine = self._machines.pop(machine_id.lower(), None)
        if machine is not None:
            machine.remove()

    def execute(self, machine_id: str, script: str, timeout_s: float) -> tuple[str, int, str]:
        return self.at(machine_id).execute(script, timeout_s)

    def answer(self, machine_id: str, asked: Asked) -> Answer:
        machine = self._machines.get(machine_id.lower())
        return Answer(status=500, dropped=True) if machine is None else machine.answer(asked)

    def at(self, machine_id: str) -> Machine:
        return self._machines[machine_id.lower()]

    def close(self) -> None:
        for machine_id in list(self._machines):
            self.remove(machine_id)
        shutil.rmtree(self._base, ignore_errors=True)

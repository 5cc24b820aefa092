"""Machines that do what the agent would, at once and in this process: for tests of everything else.

A script is taken apart as a shell would, what it names is fetched with the machine's own rights,
and what is served is remembered. Programs do not run, and scripts do nothing else.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field

from core.hosts.instance.commands import ROOT
from core.models.release import MARKER_PATH
from tests.cloud.azure.edges import FRONT_DOOR_ID
from tests.cloud.azure.serving import Answer, Asked

Fetch = Callable[[str, str], bytes | None]
"""(principal, URL) to the content of a blob; None where it may not be read."""

Secrets = Callable[[str, str], dict[str, str] | None]
"""(principal, vault's URL) to the variables; None where they may not be read."""


class _RefusedError(Exception):
    """The machine may not read it."""


@dataclass
class QuickMachine:
    """What one machine knows."""

    principal: str
    is_running: bool = True
    release: str | None = None
    archives: dict[str, str] = field(default_factory=dict)
    """Digests by release of what it has fetched."""
    variables: dict[str, str] = field(default_factory=dict)
    agent: str | None = None
    front_door_id: str | None = None
    """Whoever does not carry it is refused."""


class QuickMachines:
    """All machines of one Azure, by their ids; `says` answers a program that is not there."""

    def __init__(self, fetch: Fetch, secrets: Secrets) -> None:
        self._fetch = fetch
        self._secrets = secrets
        self._machines: dict[str, QuickMachine] = {}

    def boot(self, machine_id: str, principal: str) -> None:
        machine = self._machines.setdefault(machine_id.lower(), QuickMachine(principal=principal))
        machine.principal, machine.is_running = principal, True

    def stop(self, machine_id: str) -> None:
        self.at(machine_id).is_running = False

    def remove(self, machine_id: str) -> None:
        self._machines.pop(machine_id.lower(), None)

    def at(self, machine_id: str) -> QuickMachine:
        return self._machines[machine_id.lower()]

    def close(self) -> None:
        self._machines.clear()

    def execute(self, machine_id: str, script: str, _timeout_s: float) -> tuple[str, int, str]:
        """What the agent's answer would be."""
        machine = self.at(machine_id)
        line = next(one for one in script.splitlines() if one.startswith("exec python3 - "))
        _exec, _python, _dash, root, _region, url, sha256, *words = shlex.split(line)[:-1]
        assert root == ROOT
        try:
            if sha256 != "-":
                self._check_agent(machine, url, sha256)
            answer = self._act(machine, words)
        except _RefusedError as error:
            answer = {"ok": False, "error": {"code": "fetch_refused", "message": str(error)}}
        code = 0 if answer["ok"] else 1
        return ("Succeeded" if code == 0 else "Failed"), code, json.dumps(answer) + "\n"

    def answer(self, machine_id: str, asked: Asked) -> Answer:
        machine = self._machines.get(machine_id.lower())
        if machine is None or not machine.is_running:
            return Answer(status=500, dropped=True)
        wanted = machine.front_door_id
        if wanted is not None and asked.headers.get(FRONT_DOOR_ID.lower()) != wanted:
            return Answer(status=403)
        if machine.release is None:
            return Answer(status=404)
        if asked.path == f"/{MARKER_PATH}":
            return Answer(status=200, body=machine.release.encode())
        return Answer(status=200, body=f"program of {machine.release}".encode())

    def _check_agent(self, machine: QuickMachine, url: str, sha256: str) -> None:
        if machine.agent != sha256:
            assert hashlib.sha256(self._read(machine, url)).hexdigest() == sha256
            machine.agent = sha256

    def _act(self, machine: QuickMachine, words: list[str]) -> dict[str, object]:
        verb, values = words[0], dict(zip(words[1::2], words[2::2], strict=True))
        changed = False
        if verb == "release":
            changed = self._release(machine, values)
        elif verb == "variables":
            changed = self._take_variables(machine, values)
        return {
            "ok": True, "release": machine.release, "changed": changed, "app": "running",
            "variables": len(machine.variables), "log": [f"program of {machine.release}"],
            "error": None,
        }  # fmt: skip

    def _release(self, machine: QuickMachine, values: dict[str, str]) -> bool:
        release_id = values["--id"]
        changed = self._take_variables(machine, values) or machine.release != release_id
        if release_id not in machine.archives:
            content = self._read(machine, values["--source"])
            assert hashlib.sha256(content).hexdigest() == values["--sha256"]
            assert len(content) == int(values["--size"])
            machine.archives[release_id] = values["--sha256"]
        machine.release = release_id
        return changed

    def _take_variables(self, machine: QuickMachine, values: dict[str, str]) -> bool:
        vault = values["--variables"].removeprefix("keyvault:")
        found = self._secrets(machine.principal, vault)
        if found is None:
            raise _RefusedError(f"{vault} answered 403.")
        changed = found != machine.variables
        machine.variables = found
        kind, _colon, value = values["--guard"].partition(":")
        machine.front_door_id = value if kind == "front-door" else None
        return changed

    def _read(self, machine: QuickMachine, url: str) -> bytes:
        content = self._fetch(machine.principal, url)
        if content is None:
            raise _RefusedError(f"{url} answered 403.")
        return content

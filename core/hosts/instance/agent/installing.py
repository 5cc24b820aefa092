"""Making an instance able to serve: folders, a user for the program, units, and Node where needed.

On a scratch root, or where there is no systemd, units and users are left alone, and it is said.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
from pathlib import Path

from .accounts import give
from .answering import AgentError
from .building import needs_node
from .place import DEFAULT_PORT, DEFAULT_USER, Place, Settings
from .talking import ask, wait_until_it_serves

UNITS = Path("/etc/systemd/system")
SERVICE = "tmux-builder.service"
SOCKET = "tmux-builder.socket"
TIMEOUT_S = 120
INSTALL_S = 600
_SOCKET_TEXT = """\
[Unit]
Description=The web site's public port

[Socket]
ListenStream={port}
Backlog=1024
NoDelay=yes

[Install]
WantedBy=sockets.target
"""
_SERVICE_TEXT = """\
[Unit]
Description=The web site and its agent
Requires={socket}
After=network-online.target {socket}
Wants=network-online.target
StartLimitIntervalSec=0

[Service]
ExecStart={python} {agent} --root {root} serve
Restart=always
RestartSec=1
KillMode=mixed
TimeoutStopSec=40
# The program and its build must not get at the instance's own credentials.
IPAddressDeny=169.254.169.254 fd00:ec2::254
NoNewPrivileges=yes
ProtectSystem=strict
ReadWritePaths={root}
ProtectHome=yes
PrivateTmp=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
RestrictSUIDSGID=yes
LimitNOFILE=65536

[Install]
WantedBy=multi-user.target
"""
_NODE_PACKAGES = (("nodejs22", "nodejs22-npm"), ("nodejs20", "nodejs20-npm"), ("nodejs", "npm"))


def install(
    place: Place,
    *,
    port: int | None = None,
    user: str | None = None,
    start_s: float | None = None,
) -> bool:
    """Bring the instance into the state that this agent needs; whether units take part.

    Repeatable; the serving agent is restarted only where its program or its unit changed.

    Raises:
        AgentError: A program of the system refused.
    """
    has_units = place.is_system and os.geteuid() == 0 and shutil.which("systemctl") is not None
    place.make()
    known = place.settings() if place.is_installed else None
    before = known or Settings(port=DEFAULT_PORT, user=DEFAULT_USER if has_units else None)
    wanted = Settings(
        port=before.port if port is None else port,
        user=before.user if user is None else user,
        start_s=before.start_s if start_s is None else start_s,
    )
    if has_units and wanted.user is not None:
        _ensure_user(wanted.user)
    if not place.data.exists():
        place.data.mkdir(mode=0o700)
        give(place.data, wanted.user)
    if known != wanted:
        place.write_settings(wanted)
    if has_units:
        _ensure_units(place, wanted)
    return has_units


def ensure_node(place: Place, release_id: str) -> None:
    """Install Node where the site has a package.json and the instance has none.

    Raises:
        AgentError: There is no package of it, or the package manager failed.
    """
    if not needs_node(place.site(release_id)) or shutil.which("npm") is not None:
        return
    if os.geteuid() != 0 or not place.is_system:
        raise AgentError("build_failed", "The computer has no npm.")
    if shutil.which("apt-get"):
        wait = ["-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=5"]
        _run(["apt-get", "-y", "-q", *wait, "update"], INSTALL_S)
        lean = ["--no-install-recommends", "nodejs", "npm"]
        _run(["apt-get", "-y", "-q", *wait, "install", *lean], INSTALL_S)
        return
    for packages in _NODE_PACKAGES:
        known = subprocess.run(
            ["dnf", "-q", "info", packages[0]], check=False, timeout=INSTALL_S,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        if known.returncode == 0:
            _run(["dnf", "-y", "-q", "install", *packages], INSTALL_S)
            return
    raise AgentError("build_failed", "The instance's system has no package of Node.")


def _ensure_user(name: str) -> None:
    try:
        pwd.getpwnam(name)
    except KeyError:
        shell = shutil.which("nologin") or "/usr/sbin/nologin"
        _run(["useradd", "--system", "--no-create-home", "--shell", shell, name], TIMEOUT_S)


def _ensure_units(place: Place, settings: Settings) -> None:
    service = _SERVICE_TEXT.format(
        socket=SOCKET, python=sys.executable, agent=place.agent, root=place.root
    )
    texts = {SOCKET: _SOCKET_TEXT.format(port=settings.port), SERVICE: service}
    changed = [name for name, text in texts.items() if _write_unit(UNITS / name, text)]
    if changed:
        _run(["systemctl", "daemon-reload"], TIMEOUT_S)
    if SOCKET in changed:
        _run(["systemctl", "stop", SERVICE], TIMEOUT_S)
        _run(["systemctl", "restart", SOCKET], TIMEOUT_S)
    _run(["systemctl", "enable", "--now", SOCKET, SERVICE], TIMEOUT_S)
    if changed or _serves_another_agent(place):
        _run(["systemctl", "restart", SERVICE], TIMEOUT_S)
    wait_until_it_serves(place)


def _serves_another_agent(place: Place) -> bool:
    from .supervisor import digest_of  # noqa: PLC0415 - the supervisor is not needed otherwise

    try:
        return ask(place, {"do": "status"}).get("agent") != digest_of(place)
    except OSError:
        return True


def _write_unit(path: Path, text: str) -> bool:
    if path.exists() and path.read_text() == text:
        return False
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(text)
    beside.replace(path)
    return True


def _run(command: list[str], timeout_s: float) -> None:
    try:
        done = subprocess.run(
            command, check=False, timeout=timeout_s, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise AgentError("failed", f"{command[0]} cannot be run: {error}") from error
    if done.returncode != 0:
        lines = done.stdout.decode(errors="replace").splitlines()
        said = tuple(line for line in lines if line.strip())[-12:]
        words = " ".join(command[:2])
        raise AgentError("failed", f"{words} ended with code {done.returncode}.", said)

"""The walls as they are prepared: arguments, files beside a start, sealed folders, remedies."""

from __future__ import annotations

import json
import platform
import stat
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from core import sandbox as sandbox_module
from core.call_filter import filter_descriptor, filter_program
from core.config import load_settings
from core.errors import MissingProgramError, UsageError
from core.paths import SessionPaths
from core.sandbox import Sandbox, bubblewrap_arguments, has_bubblewrap, require_bubblewrap
from core.services.checkup import CheckState
from tests.tmux.claude_pane import make_session
from tests.unit.services_place import make_place
from tmux_bridge.claude.cli import ClaudeProgram
from tmux_bridge.claude.launch import ClaudeLaunch, prepare_launch
from tmux_bridge.claude.seed import seal_config, sealed_paths, seed_config

SECRET = "sk-ant-secret-0123456789-abcdefghijklmnop"
PROXY = "http://operator:hidden@proxy.example:3128"
PROGRAM = ClaudeProgram(command=Path("/usr/bin/true"), executable=Path("/usr/bin/true"), folders=())
contained = pytest.mark.skipif(not has_bubblewrap(), reason="needs bubblewrap")


@pytest.fixture
def paths(tmp_path: Path) -> SessionPaths:
    tmp_path.chmod(0o700)
    return make_session(tmp_path)


def launch(paths: SessionPaths, *, isolation: bool = True, limited: bool = False) -> ClaudeLaunch:
    return ClaudeLaunch(
        paths=paths, program=PROGRAM, claude_session_id="c1", isolation=isolation,
        environ={"ANTHROPIC_API_KEY": SECRET, "HTTPS_PROXY": PROXY}, network_limited=limited,
    )  # fmt: skip


def test_nothing_in_a_sandbox_has_a_capability() -> None:
    arguments = bubblewrap_arguments(Sandbox(folder=Path("/usr")))
    at = arguments.index("--cap-drop")
    assert arguments[at + 1] == "ALL"
    assert "--unshare-net" not in arguments
    limited = bubblewrap_arguments(Sandbox(folder=Path("/usr"), share_network=False, calls=8))
    assert "--unshare-net" in limited
    assert limited[limited.index("--seccomp") + 1] == "8"


@contained
def test_root_without_capabilities_cannot_change_the_kernels_settings() -> None:
    """Also what a program without capabilities may write there as root."""
    code = "import os; os.close(os.open('/proc/sys/kernel/core_pattern', os.O_WRONLY))"
    command = [require_bubblewrap(), *bubblewrap_arguments(Sandbox(folder=Path("/usr")))]
    command += ["--", "/usr/bin/env", "python3", "-c", code]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=20)
    assert done.returncode != 0
    assert "Read-only" in done.stderr or "denied" in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="seccomp is Linux's")
def test_the_call_filter_is_whole_jumps_within_itself_and_unknown_machines_have_none() -> None:
    for machine in ("x86_64", "aarch64"):
        program = filter_program(machine)
        lines = [struct.unpack_from("=HBBI", program, at) for at in range(0, len(program), 8)]
        for at, (code, if_true, if_false, _) in enumerate(lines):
            if code in {0x15, 0x35}:
                assert at + 1 + max(if_true, if_false) < len(lines)
        assert lines[-1][0] == 0x06
    assert filter_program("s390x") == b""
    with filter_descriptor() as handle:
        assert (handle is None) == (platform.machine() not in {"x86_64", "aarch64"})


@contained
def test_a_limited_start_keeps_its_secrets_in_private_files_and_leaves_none(
    paths: SessionPaths, tmp_path: Path
) -> None:
    secrets = tmp_path / "secrets"
    command = prepare_launch(launch(paths, limited=True), secrets)
    said = " ".join(command.argv)
    assert SECRET not in said
    assert "hidden" not in said
    [gate] = secrets.glob("pane-*.gate")
    settings = json.loads(gate.read_text())
    assert settings["upstream"] == PROXY
    assert ["api.anthropic.com", 443, False, False] in settings["allowed"]
    assert stat.S_IMODE(gate.stat().st_mode) == 0o600
    start = command.start_file.read_bytes().split(b"\0")
    assert b"--unshare-net" in start
    assert PROXY.encode() not in start
    command.discard()
    assert list(secrets.iterdir()) == []


def test_a_limited_network_without_walls_is_refused_with_both_ways_out(
    paths: SessionPaths, tmp_path: Path
) -> None:
    with pytest.raises(UsageError) as raised:
        prepare_launch(launch(paths, isolation=False, limited=True), tmp_path / "secrets")
    assert "isolation required" in raised.value.remedy
    assert "network open" in raised.value.remedy


@pytest.mark.parametrize("is_installed", [False, True])
def test_no_usable_bubblewrap_is_refused_with_both_remedies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_installed: bool
) -> None:
    if is_installed:
        program = tmp_path / "bwrap"
        program.write_text("#!/bin/sh\nexit 1\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/nonexistent")
    with pytest.raises(MissingProgramError) as raised:
        require_bubblewrap()
    remedy = raised.value.remedy
    assert "tmux-builder config set isolation off" in remedy
    assert ("sysctl" if is_installed else "install bubblewrap") in remedy
    assert sandbox_module.has_bubblewrap() is False


def test_what_a_pane_left_for_the_cli_to_obey_is_emptied(
    paths: SessionPaths, tmp_path: Path
) -> None:
    config = paths.claude_config
    config.mkdir(mode=0o700, parents=True, exist_ok=True)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept.md").write_text("x")
    (config / "agents").symlink_to(outside)
    (config / "skills").mkdir()
    (config / "skills" / "SKILL.md").write_text("obey")
    (config / "hooks").write_text("a file")
    (config / "CLAUDE.md").write_text("obey")
    (config / "settings.json").symlink_to(outside / "kept.md")
    seal_config(config)
    assert (outside / "kept.md").read_text() == "x"
    assert (config / "settings.json").read_text() == "{}\n"
    assert not (config / "CLAUDE.md").exists()
    folders = [path for path in sealed_paths(config) if path.name != "settings.json"]
    assert len(folders) > 4
    assert all(not path.is_symlink() and list(path.iterdir()) == [] for path in folders)


def test_what_a_pane_granted_itself_in_the_clis_document_is_dropped(paths: SessionPaths) -> None:
    config = paths.claude_config
    config.mkdir(mode=0o700, parents=True, exist_ok=True)
    forged = {
        "projects": {str(paths.root.resolve()): {"allowedTools": ["Bash(*)"], "mcpServers": {}}},
        "mcpServers": {"x": {"command": "sh"}}, "bypassPermissionsModeAccepted": True, "kept": 1,
    }  # fmt: skip
    (config / ".claude.json").write_text(json.dumps(forged))
    seed_config(config, paths.root)
    seeded = json.loads((config / ".claude.json").read_text())
    assert seeded["kept"] == 1
    assert not {"mcpServers", "bypassPermissionsModeAccepted"} & seeded.keys()
    project = seeded["projects"][str(paths.root.resolve())]
    assert not {"allowedTools", "mcpServers"} & project.keys()


@pytest.mark.parametrize(
    ("isolation", "network", "walls", "state", "said"),
    [
        ("required", "open", None, CheckState.OK, "open"),
        ("required", "limited", None, CheckState.OK, "limited"),
        ("off", "open", CheckState.WARN, CheckState.OK, "open"),
        ("off", "limited", CheckState.WARN, CheckState.FAIL, "isolation is off"),
    ],
)
def test_the_doctor_says_what_sessions_reach(
    tmp_path: Path, isolation: str, network: str, walls: CheckState | None, state: CheckState,
    said: str,
) -> None:  # fmt: skip
    settings = load_settings(
        {"isolation": isolation, "network": network}, {"HOME": str(tmp_path)}, tmp_path
    )
    report = make_place(tmp_path, settings=settings).services.doctor.run({"local"})
    checks = {check.id: check for check in report.checks}
    assert checks["network"].state is state
    assert said in checks["network"].found
    if walls is not None:
        assert checks["bubblewrap"].state is walls
        assert "isolation is off" in checks["bubblewrap"].found

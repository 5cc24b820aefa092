"""What is prepared before the CLI's first start, without starting it."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from core.errors import LoginNeededError, MissingProgramError, StorageError
from core.login import store_login
from core.paths import CHECKOUT, SessionPaths
from core.sandbox import has_bubblewrap
from tests.tmux.claude_pane import make_session
from tmux_bridge.claude.cli import ClaudeProgram, find_program, read_version
from tmux_bridge.claude.launch import (
    SESSION_VARIABLE,
    ClaudeLaunch,
    claude_environment,
    claude_sandbox,
    prepare_launch,
)
from tmux_bridge.claude.registry import RegistryStatus, read_registry
from tmux_bridge.claude.seed import drop_carried_login, prepare_repository, seed_config

SECRET = "sk-ant-secret-0123456789-abcdefghijklmnop"
PROGRAM = ClaudeProgram(
    command=Path("/usr/bin/true"),
    executable=Path("/usr/bin/true"),
    folders=(Path("/usr/bin/true"),),
)


@pytest.fixture
def paths(tmp_path: Path) -> SessionPaths:
    tmp_path.chmod(0o700)
    return make_session(tmp_path)


def launch(paths: SessionPaths, **environ: str) -> ClaudeLaunch:
    return ClaudeLaunch(paths=paths, program=PROGRAM, claude_session_id="c1", environ=environ)


def document(paths: SessionPaths) -> dict[str, object]:
    found = json.loads((paths.claude_config / ".claude.json").read_text())
    assert isinstance(found, dict)
    return found


def test_the_seed_keeps_what_the_cli_wrote(paths: SessionPaths) -> None:
    paths.claude_config.mkdir(parents=True, mode=0o700)
    known = {"numStartups": 7, "projects": {"/other": {"x": 1}}}
    (paths.claude_config / ".claude.json").write_text(json.dumps(known))
    seed_config(paths.claude_config, paths.root, api_key=SECRET)
    seed_config(paths.claude_config, paths.root, api_key=SECRET)
    seeded = document(paths)
    assert seeded["numStartups"] == 7
    assert seeded["hasCompletedOnboarding"] is True
    projects = seeded["projects"]
    assert isinstance(projects, dict)
    assert projects["/other"] == {"x": 1}
    assert projects[str(paths.root.resolve())]["hasTrustDialogAccepted"] is True
    responses = seeded["customApiKeyResponses"]
    assert responses == {"approved": [SECRET[-20:]], "rejected": []}


@pytest.mark.parametrize("content", ["", "{", "[]", '{"projects": []}'])
def test_a_broken_document_is_replaced(paths: SessionPaths, content: str) -> None:
    paths.claude_config.mkdir(parents=True, mode=0o700)
    (paths.claude_config / ".claude.json").write_text(content)
    seed_config(paths.claude_config, paths.root)
    assert document(paths)["hasSeenAutoDefaultNotice"] is True


def test_a_linked_document_is_replaced_and_its_target_left_alone(
    paths: SessionPaths, tmp_path: Path
) -> None:
    paths.claude_config.mkdir(parents=True, mode=0o700)
    target = tmp_path / "target"
    target.write_text('{"mine": 1}')
    (paths.claude_config / ".claude.json").symlink_to(target)
    seed_config(paths.claude_config, paths.root)
    assert target.read_text() == '{"mine": 1}'
    assert "mine" not in document(paths)


def test_seeds_at_once_lose_nothing(paths: SessionPaths) -> None:
    keys = [f"key-number-{number:020}" for number in range(8)]
    threads = [
        threading.Thread(
            target=seed_config, args=(paths.claude_config, paths.root), kwargs={"api_key": key}
        )
        for key in keys
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    responses = document(paths)["customApiKeyResponses"]
    assert isinstance(responses, dict)
    assert sorted(responses["approved"]) == sorted(key[-20:] for key in keys)


def test_the_operators_interactive_login_is_not_handed_on(
    paths: SessionPaths, tmp_path: Path
) -> None:
    own = tmp_path / "home" / ".claude"
    own.mkdir(parents=True)
    (own / ".credentials.json").write_text('{"claudeAiOauth": {"refreshToken": "r"}}')
    with pytest.raises(LoginNeededError) as raised:
        prepare_launch(launch(paths, HOME=str(own.parent)), tmp_path / "secrets")
    assert "interactive" in raised.value.message
    assert "claude setup-token" in raised.value.remedy
    assert "tmux-builder login" in raised.value.remedy
    assert raised.value.exit_code == 4
    assert not (paths.claude_config / ".credentials.json").exists()


def test_a_login_that_was_copied_before_goes_at_the_next_start(
    paths: SessionPaths, tmp_path: Path
) -> None:
    paths.claude_config.mkdir(parents=True, mode=0o700)
    (paths.claude_config / ".credentials.json").write_text('{"claudeAiOauth": 1}')
    (paths.claude_config / ".claude.json").write_text(
        '{"oauthAccount": {"a": 1}, "numStartups": 3}'
    )
    prepare_launch(launch(paths, ANTHROPIC_API_KEY=SECRET), tmp_path / "secrets").discard()
    assert not (paths.claude_config / ".credentials.json").exists()
    assert "oauthAccount" not in document(paths)
    assert document(paths)["numStartups"] == 3


def test_a_link_in_the_place_of_a_copied_login_goes_and_its_target_stays(
    paths: SessionPaths, tmp_path: Path
) -> None:
    target = tmp_path / "target"
    target.write_text("mine")
    paths.claude_config.mkdir(parents=True, mode=0o700)
    (paths.claude_config / ".credentials.json").symlink_to(target)
    assert drop_carried_login(paths.claude_config)
    assert target.read_text() == "mine"
    (paths.claude_config / ".credentials.json").mkdir()
    assert not drop_carried_login(paths.claude_config)


def test_a_stored_token_reaches_claude_and_the_environment_wins(
    paths: SessionPaths, tmp_path: Path
) -> None:
    environ = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")}
    store_login(environ, "sk-ant-oat01-stored-0123456789")
    seen = claude_environment(launch(paths, **environ))
    assert seen["CLAUDE_CODE_OAUTH_TOKEN"] == "sk-ant-oat01-stored-0123456789"
    seen = claude_environment(launch(paths, **environ, ANTHROPIC_API_KEY=SECRET))
    assert seen["ANTHROPIC_API_KEY"] == SECRET
    assert "CLAUDE_CODE_OAUTH_TOKEN" not in seen
    seen = claude_environment(launch(paths, **environ, CLAUDE_CODE_USE_BEDROCK="1"))
    assert "CLAUDE_CODE_OAUTH_TOKEN" not in seen


def test_a_repository_runs_no_code_of_its_folder_or_account(
    paths: SessionPaths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    template = tmp_path / "template" / "hooks"
    template.mkdir(parents=True)
    (template / "post-checkout").write_text("#!/bin/sh\n")
    monkeypatch.setenv("GIT_TEMPLATE_DIR", str(template.parent))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    prepare_repository(paths.root)
    prepare_repository(paths.root)
    assert (paths.root / ".git" / "HEAD").read_text() == "ref: refs/heads/main\n"
    assert not (paths.root / ".git" / "hooks").exists()
    assert not (tmp_path / "elsewhere").exists()


def test_a_linked_repository_is_refused(paths: SessionPaths, tmp_path: Path) -> None:
    (paths.root / ".git").symlink_to(tmp_path)
    with pytest.raises(StorageError):
        prepare_repository(paths.root)


@pytest.mark.skipif(not has_bubblewrap(), reason="needs bubblewrap")
def test_no_secret_is_in_the_command_of_the_pane(paths: SessionPaths, tmp_path: Path) -> None:
    command = prepare_launch(launch(paths, ANTHROPIC_API_KEY=SECRET), tmp_path / "secrets")
    assert SECRET not in " ".join(command.argv)
    assert SECRET.encode() in command.start_file.read_bytes()
    assert stat.S_IMODE(command.start_file.stat().st_mode) == 0o600
    assert not command.start_file.is_relative_to(paths.root)
    command.discard()
    assert not command.start_file.exists()


def test_without_isolation_the_environment_comes_by_file_too(
    paths: SessionPaths, tmp_path: Path
) -> None:
    odd = "a'b\n$(id)"
    program = ClaudeProgram(
        command=Path("/usr/bin/env"), executable=Path("/usr/bin/env"), folders=()
    )
    start = ClaudeLaunch(
        paths=paths, program=program, claude_session_id="c1", isolation=False,
        environ={"ANTHROPIC_API_KEY": SECRET, "ANTHROPIC_CUSTOM_HEADERS": odd, "AWS_PROFILE": "x"},
    )  # fmt: skip
    command = prepare_launch(start, tmp_path / "secrets")
    assert SECRET not in " ".join(command.argv)
    script = [*command.argv[:6], "/usr/bin/env", "-0"]
    done = subprocess.run(
        script, check=True, capture_output=True, text=True, timeout=20, env={"LEAK": "1"}
    )
    seen = dict(entry.split("=", 1) for entry in done.stdout.split("\0") if entry)
    assert (seen["ANTHROPIC_API_KEY"], seen["ANTHROPIC_CUSTOM_HEADERS"]) == (SECRET, odd)
    assert seen["PWD"] == str(paths.root)
    assert not {"LEAK", "AWS_PROFILE"} & seen.keys()
    assert not command.start_file.exists()


def test_the_environment_is_an_allow_list(paths: SessionPaths) -> None:
    environ = {
        "ANTHROPIC_API_KEY": SECRET, "AWS_SECRET_ACCESS_KEY": "x", "AZURE_CLIENT_SECRET": "x",
        "CLAUDE_CODE_ENTRYPOINT": "x", "LD_PRELOAD": "x", "HOME": "/root", "PATH": "/evil",
    }  # fmt: skip
    seen = claude_environment(launch(paths, **environ))
    assert seen["ANTHROPIC_API_KEY"] == SECRET
    assert seen[SESSION_VARIABLE] == str(paths.root)
    assert seen["HOME"].startswith(str(paths.claude_config))
    assert "/evil" not in seen["PATH"]
    for name in ("AWS_SECRET_ACCESS_KEY", "AZURE_CLIENT_SECRET", "CLAUDE_CODE_ENTRYPOINT"):
        assert name not in seen


def test_the_scripted_model_never_gets_the_operators_key(paths: SessionPaths) -> None:
    start = ClaudeLaunch(
        paths=paths, program=PROGRAM, claude_session_id="c1", model_url="http://127.0.0.1:5",
        environ={"ANTHROPIC_API_KEY": SECRET, "ANTHROPIC_BASE_URL": "https://gateway.example"},
    )  # fmt: skip
    seen = claude_environment(start)
    assert SECRET not in seen.values()
    assert seen["ANTHROPIC_BASE_URL"] == "http://127.0.0.1:5"


def test_a_pane_sees_its_own_folders_and_not_the_data_root(paths: SessionPaths) -> None:
    sandbox = claude_sandbox(launch(paths))
    data_root = paths.root.parents[2]
    shown = (*sandbox.read_only, *sandbox.writable)
    assert not any(data_root.is_relative_to(path) for path in shown)
    assert CHECKOUT not in shown
    assert paths.claude not in sandbox.writable
    assert paths.root not in sandbox.writable


def test_a_data_root_inside_a_shown_folder_is_refused() -> None:
    root = CHECKOUT / "library" / "users" / "u"
    inside = SessionPaths(root=root, claude_config=root / "c", repository=root / "r")
    with pytest.raises(StorageError):
        claude_sandbox(launch(inside))


def test_a_missing_folder_is_a_sentence(paths: SessionPaths, tmp_path: Path) -> None:
    (paths.root / "output").rmdir()
    with pytest.raises(StorageError, match="output is missing"):
        prepare_launch(launch(paths), tmp_path / "secrets")


def test_a_missing_cli_names_the_command_that_installs_it() -> None:
    with pytest.raises(MissingProgramError) as raised:
        find_program("no-such-claude", {"PATH": "/usr/bin"})
    assert raised.value.remedy.startswith("npm install")
    with pytest.raises(MissingProgramError):
        read_version(PROGRAM)


NOW = datetime(2026, 1, 12, 14, 22, 33, tzinfo=UTC)


def registry_file(config: Path, name: str, **fields: object) -> None:
    folder = config / "sessions"
    folder.mkdir(parents=True, exist_ok=True)
    milliseconds = int(NOW.timestamp() * 1000)
    known = {
        "pid": 2, "sessionId": "c1", "status": "idle", "statusUpdatedAt": milliseconds,
        "startedAt": milliseconds, "procStart": "1", "version": "2.1.330",
    }  # fmt: skip
    (folder / name).write_text(json.dumps({**known, **fields}))


def test_the_registry_is_read_by_session_and_never_from_left_overs(tmp_path: Path) -> None:
    registry_file(tmp_path, "2.json", status="waiting", waitingFor="input needed")
    found = read_registry(tmp_path, "c1")
    assert found is not None
    assert (found.status, found.is_question) == (RegistryStatus.WAITING, True)
    assert read_registry(tmp_path, "c2") is None
    assert read_registry(tmp_path, "c1", started_after=NOW + timedelta(seconds=1)) is None
    assert read_registry(tmp_path, "c1", own_pids=True) is None


def test_a_live_pid_is_recognised_by_its_start(tmp_path: Path) -> None:
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    registry_file(tmp_path, "9.json", pid=os.getpid(), procStart=fields[19])
    assert read_registry(tmp_path, "c1", own_pids=True) is not None


@pytest.mark.parametrize(
    "fields", [{"status": "dancing"}, {"statusUpdatedAt": 10**30}, {"pid": "x"}, {"sessionId": 5}]
)
def test_a_strange_registry_entry_is_no_entry(tmp_path: Path, fields: dict[str, object]) -> None:
    registry_file(tmp_path, "2.json", **fields)
    (tmp_path / "sessions" / "3.json").symlink_to("/etc/passwd")
    (tmp_path / "sessions" / "4.json").mkdir()
    assert read_registry(tmp_path) is None
    assert read_registry(tmp_path / "gone") is None

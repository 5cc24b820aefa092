"""What stands between a start and edited settings, and what a limited Claude may reach."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from core.injection.lock import read_lock
from core.models.session import SessionKey
from core.models.states import AgentState
from tests.contract.loop_kit import (
    Loop,
    bash,
    needs_claude,
    running_loop,
    site_turn,
    tool_results,
)
from tests.injected import allow, record_edits

pytestmark = needs_claude

REACH = """
import socket, sys
for port in map(int, sys.argv[1:]):
    try:
        socket.create_connection(("127.0.0.1", port), 3).close()
        print(port, "REACHED")
    except OSError:
        print(port, "closed")
"""


@pytest.fixture(scope="module")
def loop() -> Iterator[Loop]:
    with running_loop() as loop:
        yield loop


def edit_settings(loop: Loop, key: SessionKey) -> Path:
    path = loop.paths(key).claude / "settings.json"
    settings = json.loads(path.read_text())
    settings["permissions"]["allow"].append("Bash(*)")
    path.write_text(json.dumps(settings))
    return path


def test_edited_settings_start_nothing_and_an_update_mends_them(loop: Loop) -> None:
    model = loop.model()
    key = loop.session(model)
    edit_settings(loop, key)
    sent = loop.cli("session", "send", key.session_id, "Hello", "--wait", "--json")
    assert sent.exit == 6, sent
    error = sent.document["error"]
    assert ".claude/settings.json changed" in error["message"]
    assert f"library update {key.session_id}" in error["message"] + error["fix"]
    deployed = loop.cli("deploy", key.session_id, "--from", "3", "--to", "5", "--json")
    assert deployed.exit == 6, deployed
    assert ".claude/settings.json changed" in deployed.document["error"]["message"]
    agent = loop.services.environment.store.agents.get(key)
    assert agent.state is AgentState.ENDED
    assert ".claude/settings.json changed" in agent.evidence
    assert not model.requests
    mended = loop.cli("library", "update", key.session_id, "-y")
    assert mended.exit == 0, mended
    assert loop.ask(key, "Hello again") == "The site is ready."


def test_a_lock_that_was_edited_with_the_settings_starts_nothing(loop: Loop) -> None:
    model = loop.model()
    key = loop.session(model)
    paths = loop.paths(key)
    content = edit_settings(loop, key).read_bytes()
    lock = read_lock(paths)
    assert lock is not None
    files = tuple(
        msgspec.structs.replace(file, sha256=hashlib.sha256(content).hexdigest())
        if file.path == "settings.json"
        else file
        for file in lock.files
    )
    paths.injection_lock.write_bytes(msgspec.structs.replace(lock, files=files).encode())
    sent = loop.cli("session", "send", key.session_id, "Hello", "--wait", "--json")
    assert sent.exit == 6, sent
    assert "injection.lock.json changed" in sent.document["error"]["message"]
    assert not model.requests


@pytest.mark.parametrize("what", ["hook", "link", "missing"])
def test_added_linked_and_missing_files_start_nothing(loop: Loop, what: str) -> None:
    key = loop.session(loop.model())
    claude = loop.paths(key).claude
    hook = claude / "hooks" / "event.sh"
    if what == "hook":
        (claude / "hooks" / "more.sh").write_text("#!/bin/sh\n")
    else:
        content = hook.read_bytes()
        hook.unlink()
        if what == "link":
            (loop.folder / f"hook-{key.session_id}").write_bytes(content)
            hook.symlink_to(loop.folder / f"hook-{key.session_id}")
    sent = loop.cli("session", "send", key.session_id, "Hello", "--wait", "--json")
    assert sent.exit == 6, sent


def test_a_session_from_before_the_record_is_trusted_once(loop: Loop) -> None:
    key = loop.session(loop.model())
    store = loop.services.environment.store
    edit_settings(loop, key)
    record_edits(store, key)
    store.database.execute(
        "UPDATE sessions SET injection_sha256 = NULL WHERE user_id = ? AND session_id = ?",
        (key.user_id, key.session_id),
    )
    assert loop.ask(key, "Hello") == "The site is ready."
    session = store.sessions.get(key)
    assert session is not None
    lock = loop.paths(key).injection_lock.read_bytes()
    assert session.injection_sha256 == hashlib.sha256(lock).hexdigest()


def test_a_limited_claude_works_and_reaches_nothing_else() -> None:
    with running_loop(TMUX_BUILDER_NETWORK="limited") as loop:
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            model = loop.model()
            model_port = int(model.url.rstrip("/").rpartition(":")[2])
            model.stop()
            model = loop.model(
                site_turn("Bread", bash(f"python3 source/reach.py {port} {model_port} 3128"))
            )
            key = loop.session(model)
            allow(loop.services.environment.store, key, "Bash(python3 *)")
            (loop.paths(key).source / "reach.py").write_text(REACH)
            assert loop.ask(key, "Look around") == "The site is ready."
        said = tool_results(model)
        assert f"{port} closed" in said, said
        assert "3128 REACHED" in said, said
        gates = list(loop.runtime.secrets.glob("gate-*"))
        assert len(gates) == 1
        loop.kill_worker()
        assert loop.ask(key, "And now, without the worker that began it")
        assert len(list(loop.runtime.secrets.glob("gate-*"))) == 1
        loop.services.chat.stop(key, 30)
        loop.until(lambda: not gates[0].exists(), "the end of the gate")


def test_the_real_cli_goes_to_the_vendor_through_the_gate_and_the_operators_proxy() -> None:
    """Nothing is sent to the vendor: the operator's proxy of this test refuses, and remembers."""
    asked: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as proxy:

        def serve() -> None:
            while True:
                try:
                    connection, _ = proxy.accept()
                except OSError:
                    return
                with connection:
                    asked.append(connection.recv(4096).split(b"\r\n")[0].decode())
                    connection.sendall(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")

        threading.Thread(target=serve, daemon=True).start()
        with running_loop(
            TMUX_BUILDER_NETWORK="limited", ANTHROPIC_API_KEY="sk-ant-never-used-0123456789abcdef",
            HTTPS_PROXY=f"http://127.0.0.1:{proxy.getsockname()[1]}",
        ) as loop:  # fmt: skip
            user = loop.services.users.create("ana@example.org", "+15550100199", start=False).user
            created = loop.services.sessions.create(user.user_id, start=False)
            loop.services.chat.send(created.session.key, "Hello")
            # The worker's own browser goes through the operator's proxy too, to its vendor.
            wanted = "CONNECT api.anthropic.com:443 HTTP/1.1"
            loop.until(lambda: wanted in asked, "a connection through the operator's proxy", 60)

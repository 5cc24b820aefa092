"""The tests that Claude wrote and a local dynamic site: the same walls as a pane's."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from core.checks.chromium import Chromium
from core.checks.own_tests import OwnTestsOptions, OwnTestsRun
from core.hosts.local_server.app_log import AppLog
from core.hosts.local_server.child import ChildPlan, start_child
from core.hosts.local_server.variables_file import VariablesFile
from core.paths import CHECKOUT
from core.sandbox import has_bubblewrap
from tests.conftest import PINNED
from tests.escapes import INSIDE, program

pytestmark = pytest.mark.skipif(not has_bubblewrap(), reason="needs bubblewrap")

SECRET = "planted-9876543210-secret"
OF_A_PANE = ("network", "the operator's clipboard", "a new file in the data root")


@pytest.fixture
def facts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """A data root and a home with something in every place that an attack looks for."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    root, home = tmp_path / "users", tmp_path / "home"
    session, config = root / "u1" / "sessions" / "s1", root / "u1" / "claude" / "s1"
    places = {
        "other_user": root / "u2", "other_source": root / "u2" / "source",
        "other_claude": root / "u2" / "claude", "other_session_path": root / "u2" / "s",
        "sibling": root / "u1" / "sessions" / "s2", "releases": root / "u1" / "releases",
        "runtime": tmp_path / "run", "secrets": tmp_path / "run" / "secrets",
        "session": session, "config": config, "root": root, "home": home,
    }  # fmt: skip
    for place in (*places.values(), home / ".aws", home / ".claude", home / ".config"):
        place.mkdir(parents=True, exist_ok=True)
    files = {
        "start_file": tmp_path / "run" / "secrets" / "pane-1", "planted_tmp": tmp_path / "planted",
    }  # fmt: skip
    for file in (
        *files.values(), root / "state.sqlite", root / "engine.sqlite", root / "registry.json",
        home / ".aws" / "credentials", root / "u2" / "source" / "index.html",
    ):  # fmt: skip
        file.write_text(SECRET)
    sockets = dict.fromkeys(("tmux_socket", "worker_socket", "host_socket"), tmp_path / "sock")
    known = {name: str(path) for name, path in (places | files | sockets).items()}
    return {
        **known, "planted_secret": SECRET, "planted_shm": "/dev/shm/none", "worker": 1_000_000,
        "checkout": str(CHECKOUT), "python": str(PINNED), "program": str(PINNED),
    }  # fmt: skip


def attack(facts: dict[str, object], results: str) -> str:
    chosen = [one for one in INSIDE if not one.name.startswith(OF_A_PANE)]
    return program(chosen, facts, results)


def worked(found: dict[str, dict[str, Any]]) -> list[str]:
    return [name for name, came in found.items() if came["worked"]]


def test_the_tests_that_claude_wrote_get_nowhere(facts: dict[str, object], tmp_path: Path) -> None:
    tests = tmp_path / "e2e"
    tests.mkdir()
    body = attack(facts, "'/tmp/escapes.json'").replace("\n", "\n    ")
    (tests / "test_escape.py").write_text(
        f"def test_escape():\n    {body}\n    worked = [n for n in found if found[n]['worked']]\n"
        "    assert len(found) > 60\n    assert worked == []\n"
    )
    run = OwnTestsRun(
        tests, url="http://127.0.0.1:1/", chromium=Chromium(),
        options=OwnTestsOptions(test_limit_s=100),
    )  # fmt: skip
    try:
        run.start()
        result = run.finish(lambda: False)
    finally:
        run.close()
    [case] = result.cases
    assert case.outcome == "passed", f"{case.message}\n{case.log}\n{result.output}"


def test_a_dynamic_sites_program_gets_nowhere(facts: dict[str, object], tmp_path: Path) -> None:
    release, data = tmp_path / "release", tmp_path / "data"
    release.mkdir()
    code = attack(facts, "os.environ['DATA_DIR'] + '/escapes.json'")
    (release / "attack.py").write_text(code)
    plan = ChildPlan(
        command="exec python3 attack.py", release=release, data=data, isolated=True,
        variables=VariablesFile(tmp_path / "none.json"), record=tmp_path / "record",
    )  # fmt: skip

    async def run() -> None:
        child = await start_child(plan, AppLog(tmp_path))
        try:
            await asyncio.wait_for(child.process.wait(), 100)
        finally:
            await child.stop()

    asyncio.run(run())
    results = data / "escapes.json"
    assert results.is_file(), "the attacks did not end"
    found = json.loads(results.read_text())
    assert len(found) > 60
    assert worked(found) == []

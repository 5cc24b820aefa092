"""A session that the product started: what its real Claude was told, read, and can do by itself.

Everything is real but the model: worker, tmux, bubblewrap, CLI, local host and browser.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.injection.catalogue import read_catalogue
from core.injection.lock import read_lock
from core.models.session import SessionKey
from core.paths import library_folder
from tests.contract.first_request import FirstRequest
from tests.contract.loop_kit import (
    Loop,
    bash,
    get,
    needs_claude,
    page,
    running_loop,
    script,
    site_turn,
    wish_turn,
    write,
)
from tests.unit.injection_library import rule, write_item, write_rules
from tmux_bridge.scripted_model import ScriptedModel

pytestmark = needs_claude

STRANGER = "STRANGER-7Q"
"""Stands in everything that must not be seen."""

_TOLD = re.compile(r"(memory file[a-z ]* read) (\{.*\})")


@pytest.fixture(scope="module")
def loop() -> Iterator[Loop]:
    with running_loop() as loop:
        library = loop.folder / "home/.config/tmux-builder/library"
        write_item(library, "skills/house/style.md", "house-style", "Blue headings.")
        house = rule("house", {"host_provider": "local"}, skills=["house/style"])
        write_rules(
            library,
            rule("azure/dynamic", {"host_provider": "azure", "site_type": "dynamic"}), house,
        )  # fmt: skip
        yield loop


@pytest.fixture(scope="module")
def built_in(loop: Loop) -> FirstRequest:
    """What the CLI announces by itself: the operator's rule gives this session nothing."""
    key, request = first_request(loop, host_provider="azure", site_type="dynamic")
    assert not list(loop.paths(key).agents.iterdir())
    assert request.agents, "the CLI's own listing was not found, so this test would prove nothing"
    assert request.skills, "the CLI's own listing was not found, so this test would prove nothing"
    return request


def recording_model(loop: Loop) -> ScriptedModel:
    model = ScriptedModel(script(site_turn()), keeps_bodies=True)
    model.start()
    loop.models.append(model)
    return model


def first_request(loop: Loop, **wishes: str) -> tuple[SessionKey, FirstRequest]:
    """Make a session, have the product start its Claude, and say one thing."""
    model = recording_model(loop)
    key = loop.session(model, **wishes)
    loop.ask(key, "Make a page about bread")
    first = next(one for one in model.requests if one.kind == "main")
    return key, FirstRequest.of(model.bodies[first.number])


def plant(folder: Path) -> None:
    """Everything that Claude would take up from a folder above its own."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "CLAUDE.md").write_text(f"{STRANGER} memory\n")
    (folder / "CLAUDE.local.md").write_text(f"{STRANGER} local memory\n")
    item = f"---\nname: stranger\ndescription: {STRANGER}\n---\nx\n"
    for name in (
        "CLAUDE.md", "rules/stranger.md", "agents/stranger.md", "skills/stranger/SKILL.md",
        "commands/stranger.md",
    ):  # fmt: skip
        file = folder / ".claude" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(item)
    (folder / ".claude/settings.json").write_text(
        json.dumps({"env": {"STRANGER": STRANGER}, "permissions": {"allow": ["Bash(*)"]}})
    )


def memory_files(loop: Loop, key: SessionKey) -> list[tuple[str, str]]:
    """(What the worker said, file) of each InstructionsLoaded event of a session."""
    told = _TOLD.findall(loop.runtime.worker_log.read_text())
    return [
        (said, match[1])
        for said, facts in told
        if key.session_id in facts and (match := re.search(r"'file': '([^']*)'", facts))
    ]


@pytest.mark.parametrize("site_type", ["static", "dynamic"])
def test_claude_is_told_exactly_what_was_injected(
    loop: Loop, built_in: FirstRequest, site_type: str
) -> None:
    other = loop.services.users.create("bob@example.org", "+15550100200", start=False)
    neighbour = loop.services.sessions.create(other.user.user_id, start=False).session.key
    owner = loop.services.users.create("ana@example.org", "+15550100199", start=False).user
    mine = loop.root.user(owner.user_id)
    for folder in (
        loop.folder, loop.root.path, mine, mine / "sessions", mine / "claude",
        loop.folder / "home", loop.paths(neighbour).root,
    ):  # fmt: skip
        plant(folder)
    key, request = first_request(loop, site_type=site_type)
    paths = loop.paths(key)
    lock = read_lock(paths)
    assert lock is not None
    agents = {Path(one.path).stem for one in lock.files if one.path.startswith("agents/")}
    skills = {Path(one.path).parent.name for one in lock.files if one.path.startswith("skills/")}
    assert "house-style" in skills
    assert request.agents == built_in.agents | agents
    assert request.skills == built_in.skills | skills
    assert request.instruction_files == [str(paths.claude / "CLAUDE.md")]
    assert (paths.claude / "CLAUDE.md").read_text().strip() in request.text
    assert STRANGER not in request.text
    assert "stranger" not in request.text
    assert neighbour.user_id not in request.text
    assert "bob@example.org" not in request.text
    for item in read_catalogue(library_folder()).items:
        assert (item.description in request.text) is (item.name in agents | skills), item.name
    assert memory_files(loop, key) == [("memory file read", str(paths.claude / "CLAUDE.md"))]


def test_without_walls_the_memory_of_parent_folders_stays_out_too() -> None:
    with running_loop(TMUX_BUILDER_ISOLATION="off") as loop:
        for folder in (loop.folder, loop.root.path, loop.folder / "home"):
            plant(folder)
        key, request = first_request(loop)
        page_file = str(loop.paths(key).claude / "CLAUDE.md")
        assert request.instruction_files == [page_file]
        assert STRANGER not in request.text
        assert "stranger" not in request.text
        assert memory_files(loop, key) == [("memory file read", page_file)]


def test_edited_settings_start_nothing_until_the_update_that_is_named(loop: Loop) -> None:
    model = recording_model(loop)
    key = loop.session(model)
    claude = loop.paths(key).claude
    settings = claude / "settings.json"
    shipped = settings.read_text()
    settings.write_text('{"permissions": {"defaultMode": "bypassPermissions"}}')
    (claude / "agents/mine.md").write_text("---\nname: mine\ndescription: Mine.\n---\nx\n")
    refused = loop.cli("session", "send", key.session_id, "hello", "--wait", "--json")
    assert refused.exit != 0
    assert not model.requests
    assert "not those that were injected" in str(refused.document["error"]), refused.out
    listed = loop.cli("library", "diff", key.session_id, "--json").document["data"]["files"]
    edited = {one["path"]: one["state"] for one in listed if one["state"] != "unchanged"}
    assert edited == {"settings.json": "changed", "agents/mine.md": "added"}
    assert loop.cli("library", "update", key.session_id).exit == 9
    assert loop.cli("library", "update", key.session_id, "-y").exit == 0
    assert settings.read_text() == shipped
    assert loop.ask(key, "Make a page about bread") == "The site is ready."
    live = loop.cli("library", "update", key.session_id, "--json").document
    assert (live["data"]["sessions"][0]["state"], live["warnings"]) == ("current", [])
    style = loop.folder / "home/.config/tmux-builder/library/skills/house/style.md"
    style.write_text(style.read_text().replace("Blue", "Green"))
    newer = loop.cli("library", "update", key.session_id, "--json").document
    assert [one["code"] for one in newer["warnings"]] == ["restart_needed"]
    assert loop.cli("session", "kill", key.session_id, "-y").exit == 0
    assert loop.ask(key, "And now another page") != ""
    assert "Green" in (claude / "skills/house-style/SKILL.md").read_text()


@pytest.mark.browser
def test_claude_deploys_checks_photographs_and_tests_from_its_pane(loop: Loop) -> None:
    """In the words of its skills: plain verbs, whose answers and exit codes it reads itself."""
    verbs = ("deploy", "check", "screenshot", "test")
    model = loop.model(
        site_turn("Fresh bread"),
        wish_turn(
            "prove it",
            write("source/index.html", page("Proven bread")),
            *(bash(f"tmux-builder {verb}") for verb in verbs),
            bash("cat deployment/tests/health.json"),
            bash("cat deployment/tests/e2e.json"),
            bash("file deployment/tests/screenshot.png"),
        ),
    )
    key = loop.session(model)
    loop.run(key, from_step=1, to_step=5)
    seen = len(model.requests)
    assert loop.ask(key, "now prove it") == "Done."
    later = [one for one in model.requests[seen:] if one.kind == "main" and one.tool_results]
    answers = [json.loads(one.tool_results[-1]) for one in later]
    texts = [text if isinstance(text, str) else text[0]["text"] for text in answers]
    _, deploy, check, screenshot, test, health, e2e, picture = texts
    session = loop.services.environment.store.sessions.get(key)
    assert session is not None
    url = str(session.url)
    assert "Exit code" not in "".join(texts[1:5]), texts
    assert deploy.rstrip().splitlines()[-1] == url
    assert b"Proven bread" in get(url)
    assert re.search(r"^ok 200 text/html \d+ B \d+ ms$", check, flags=re.MULTILINE), check
    assert "screenshot.png" in screenshot
    assert re.search(r"^(\d+)/\1\b", test, flags=re.MULTILINE), test
    assert json.loads(health)["passed"] is True
    assert json.loads(e2e)["passed"] is not False
    assert "PNG image data" in picture
    assert max(one.deploy for one in loop.services.deploys.deploys(key)) == 2

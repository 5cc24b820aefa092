"""What a session has beside what the library gives now, and bringing it up to date."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from core.accounts.injections import SessionInjector
from core.errors import ConfirmationNeededError, NotFoundError
from core.injection.comparison import FileState
from core.injection.lock import differences, read_lock
from core.models.session import SessionKey
from core.models.states import AgentState
from core.paths import SessionPaths
from core.services.library import LibraryService, SessionUpdate, UpdateState
from tests.unit.injection_library import make_library, rule, write, write_item, write_rules
from tests.unit.services_place import Place, make_place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return make_place(tmp_path)


@pytest.fixture
def library(tmp_path: Path) -> Path:
    return make_library(tmp_path / "shipped")


@pytest.fixture
def service(place: Place, library: Path) -> LibraryService:
    """The services over a small library that a test can change."""
    place.services.environment = replace(place.services.environment, library=library)
    return place.services.library


@pytest.fixture
def key(place: Place, service: LibraryService) -> SessionKey:
    return place.session()


@pytest.fixture
def paths(place: Place, key: SessionKey) -> SessionPaths:
    return place.root.session(key.user_id, key.session_id)


def states(service: LibraryService, key: SessionKey) -> dict[str, str]:
    """Every file that is not as the library gives it."""
    pending = service.compare(key).comparison.pending
    return {file.path: str(file.state) for file in pending}


def update(
    service: LibraryService, key: SessionKey, *, yes: bool = False, plan: bool = False
) -> SessionUpdate:
    [only] = service.update([key], is_plan=plan, may_overwrite=lambda _: yes)
    return only


def recorded(place: Place, key: SessionKey) -> str | None:
    session = place.store.sessions.get(key)
    assert session is not None
    return session.injection_sha256


def lock_digest(paths: SessionPaths) -> str:
    return hashlib.sha256(paths.injection_lock.read_bytes()).hexdigest()


def test_a_new_session_is_current_and_its_lock_is_recorded(
    place: Place, service: LibraryService, key: SessionKey, paths: SessionPaths
) -> None:
    comparison = service.compare(key).comparison
    assert comparison.is_current
    assert {file.state for file in comparison.files} == {FileState.UNCHANGED}
    assert all(file.library_sha256 == file.session_sha256 for file in comparison.files)
    assert "settings.json" in {file.path for file in comparison.files}
    assert recorded(place, key) == lock_digest(paths)


def test_every_state_has_its_word(
    service: LibraryService, library: Path, key: SessionKey, paths: SessionPaths
) -> None:
    write_item(library, "agents/deployers/local.md", "local", "Newer.")
    write_item(library, "skills/new/one.md", "new-one")
    write_rules(
        library,
        rule("all", {}, agents=["deployers/local", "testers/*"], skills=["testing/look", "new/*"]),
    )
    (paths.agents / "e2e.md").write_text("by hand")
    (paths.agents / "own.md").write_text("by hand")
    (paths.claude / "hooks/event.sh").unlink()
    assert states(service, key) == {
        "agents/local.md": "outdated",
        "agents/e2e.md": "changed",
        "agents/own.md": "added",
        "hooks/event.sh": "missing",
        "skills/new-one/SKILL.md": "missing",
        "skills/testing-check/SKILL.md": "removed",
    }


def test_a_link_or_a_changed_lock_is_a_change_by_hand(
    tmp_path: Path, service: LibraryService, key: SessionKey, paths: SessionPaths
) -> None:
    settings = paths.claude / "settings.json"
    copy = write(tmp_path, "copy.json", settings.read_text())
    settings.unlink()
    settings.symlink_to(copy)
    assert states(service, key) == {"settings.json": "changed"}
    [link] = service.compare(key).comparison.by_hand
    assert link.session_sha256 is None
    lock = paths.injection_lock
    lock.write_text(lock.read_text().replace('"all"', '"none"'))
    assert states(service, key) == {"settings.json": "changed", lock.name: "changed"}


def test_a_forged_lock_does_not_make_a_change_look_like_an_older_copy(
    service: LibraryService, key: SessionKey, paths: SessionPaths
) -> None:
    settings = paths.claude / "settings.json"
    before = hashlib.sha256(settings.read_bytes()).hexdigest()
    settings.write_text('{"permissions": {"allow": ["Bash(*)"]}}')
    after = hashlib.sha256(settings.read_bytes()).hexdigest()
    paths.injection_lock.write_text(paths.injection_lock.read_text().replace(before, after))
    assert states(service, key)["settings.json"] == "changed"
    assert update(service, key).state is UpdateState.CHANGED_BY_HAND
    assert settings.read_text() == '{"permissions": {"allow": ["Bash(*)"]}}'


def test_a_patch_shows_what_an_update_would_change(
    service: LibraryService, library: Path, key: SessionKey, paths: SessionPaths
) -> None:
    write_item(library, "agents/testers/e2e.md", "e2e", "Do it better.")
    (paths.agents / "own.md").write_bytes(b"\xff\x00")
    (paths.agents / "local.md").unlink()
    compared = service.compare(key)
    patches = {file.path: compared.patch(file) for file in compared.comparison.pending}
    lines = patches["agents/e2e.md"].splitlines()
    assert lines[:2] == ["--- session/agents/e2e.md", "+++ library/agents/e2e.md"]
    assert lines[-2:] == ["-Do it.", "+Do it better."]
    assert patches["agents/own.md"] == "agents/own.md is not text\n"
    assert "+name: local" in patches["agents/local.md"]


def test_an_update_brings_older_copies_up_to_date_and_records_it(
    place: Place, service: LibraryService, library: Path, key: SessionKey, paths: SessionPaths
) -> None:
    write_item(library, "agents/testers/e2e.md", "e2e", "Better.")
    (paths.skills / "testing-look/SKILL.md").unlink()
    before = recorded(place, key)
    assert update(service, key).state is UpdateState.UPDATED
    assert service.compare(key).comparison.is_current
    assert "Better." in (paths.agents / "e2e.md").read_text()
    assert recorded(place, key) == lock_digest(paths) != before
    assert update(service, key).state is UpdateState.CURRENT


def test_a_plan_changes_nothing(
    place: Place, service: LibraryService, library: Path, key: SessionKey, paths: SessionPaths
) -> None:
    write_item(library, "agents/testers/e2e.md", "e2e", "Better.")
    (paths.agents / "own.md").write_text("by hand")
    digest = recorded(place, key)
    planned = update(service, key, plan=True, yes=True)
    assert planned.state is UpdateState.PLANNED
    assert planned.compared is not None
    pending = [file.path for file in planned.compared.comparison.pending]
    assert pending == ["agents/e2e.md", "agents/own.md"]
    assert states(service, key) == {"agents/e2e.md": "outdated", "agents/own.md": "added"}
    assert recorded(place, key) == digest


def test_what_was_changed_by_hand_goes_only_when_a_person_agrees(
    service: LibraryService, key: SessionKey, paths: SessionPaths, tmp_path: Path
) -> None:
    outside = write(tmp_path, "outside/SKILL.md", "not ours")
    (paths.agents / "e2e.md").write_text("by hand")
    write(paths.claude, "skills/mine/deep/notes.md", "by hand")
    (paths.skills / "linked").symlink_to(outside.parent)
    assert update(service, key).state is UpdateState.CHANGED_BY_HAND
    assert (paths.agents / "e2e.md").read_text() == "by hand"
    assert update(service, key, yes=True).state is UpdateState.UPDATED
    assert service.compare(key).comparison.is_current
    assert not (paths.skills / "mine").exists()
    assert not (paths.skills / "linked").is_symlink()
    assert outside.read_text() == "not ours"
    lock = read_lock(paths)
    assert lock is not None
    assert differences(paths, lock) == []


def test_an_injector_refuses_without_a_word_and_names_the_files(
    place: Place, library: Path, key: SessionKey, paths: SessionPaths
) -> None:
    (paths.agents / "e2e.md").write_text("by hand")
    injector = SessionInjector(place.store, place.root, library)
    with pytest.raises(ConfirmationNeededError, match=r"agents/e2e\.md") as refused:
        injector.update(injector.compare(key), overwrite=False)
    assert f"library update {key.session_id} -y" in refused.value.remedy


@pytest.mark.parametrize(
    ("state", "needed"),
    [
        (AgentState.IDLE, True), (AgentState.WORKING, True), (AgentState.NEEDS_YOU, True),
        (AgentState.STARTING, True), (AgentState.PARKED, False), (AgentState.ENDED, False),
        (AgentState.ABSENT, False),
    ],
)  # fmt: skip
def test_a_running_claude_has_to_start_again(
    place: Place, service: LibraryService, library: Path, key: SessionKey, state: AgentState,
    needed: bool,
) -> None:  # fmt: skip
    place.set_agent(key, state)
    assert not update(service, key).restart_needed
    write_item(library, "agents/testers/e2e.md", "e2e", "Better.")
    assert update(service, key, plan=True).restart_needed is needed
    assert update(service, key).restart_needed is needed


def test_one_session_that_fails_stops_no_other(
    place: Place, service: LibraryService, library: Path, key: SessionKey, paths: SessionPaths
) -> None:
    other = place.session("bob@example.org", "+48600100201")
    archived = place.session("cy@example.org", "+48600100202")
    place.store.sessions.archive(archived)
    paths.root.rename(paths.root.with_name("gone"))
    write_item(library, "agents/testers/e2e.md", "e2e", "Better.")
    keys = service.everybody()
    assert set(keys) == {key, other}
    answers = {
        one.key: one for one in service.update(keys, is_plan=False, may_overwrite=lambda _: False)
    }
    assert answers[other].state is UpdateState.UPDATED
    assert answers[key].state is UpdateState.FAILED
    assert isinstance(answers[key].error, NotFoundError)
    assert not paths.root.exists()


def test_a_repair_and_an_older_session_are_recorded_too(
    place: Place, service: LibraryService, library: Path, key: SessionKey, paths: SessionPaths
) -> None:
    place.store.sessions.set_injection(key, "0" * 64)
    assert states(service, key) == {paths.injection_lock.name: "changed"}
    session = place.store.sessions.get(key)
    assert session is not None
    SessionInjector(place.store, place.root, library).write_recorded(session)
    assert recorded(place, key) == lock_digest(paths)
    assert states(service, key) == {}

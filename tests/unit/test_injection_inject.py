"""Injection: what a session's `.claude` holds afterwards, whatever was there before."""

from __future__ import annotations

import shutil
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import StorageError, UsageError
from core.injection.inject import inject, plan_injection, remove_added
from core.injection.lock import DifferenceKind, differences, read_lock
from core.injection.problems import LibraryError
from core.injection.templates import SESSION_TEMPLATES
from core.models.user import HostProvider
from core.paths import SessionPaths
from tests.unit.injection_library import (
    FACTS,
    SESSION_ID,
    USER_ID,
    injected_files,
    make_library,
    make_session,
    rule,
    write,
    write_item,
    write_rules,
)

EXPECTED = {
    *(template.target for template in SESSION_TEMPLATES),
    "injection.lock.json",
    "agents/local.md",
    "agents/e2e.md",
    "skills/testing-check/SKILL.md",
    "skills/testing-look/SKILL.md",
}


def state_of(paths: SessionPaths) -> dict[str, tuple[int, int]]:
    files = {name: (paths.claude / name).stat() for name in injected_files(paths)}
    return {name: (info.st_ino, info.st_mtime_ns) for name, info in files.items()}


def found_differences(paths: SessionPaths) -> dict[str, DifferenceKind]:
    lock = read_lock(paths)
    assert lock is not None
    return {difference.path: difference.kind for difference in differences(paths, lock)}


def test_a_session_gets_exactly_the_items_of_its_rule(tmp_path: Path) -> None:
    library, paths = make_library(tmp_path), make_session(tmp_path)
    injected = inject(library, paths, FACTS)
    assert injected.agents == ("local", "e2e")
    assert injected.skills == ("testing-check", "testing-look")
    assert injected_files(paths) == EXPECTED
    flat = (library / "skills/testing/look.md").read_bytes()
    assert (paths.skills / "testing-look/SKILL.md").read_bytes() == flat


def test_files_and_folders_are_private_and_the_hook_can_run(tmp_path: Path) -> None:
    paths = make_session(tmp_path)
    inject(make_library(tmp_path), paths, FACTS)
    modes = {
        str(path.relative_to(paths.claude)): stat.S_IMODE(path.stat().st_mode)
        for path in paths.claude.rglob("*")
    }
    hooks = [name for name in modes if name.startswith("hooks/")]
    assert "hooks/event.sh" in hooks
    assert {modes.pop(name) for name in hooks} == {0o700}
    assert {mode for name, mode in modes.items() if (paths.claude / name).is_file()} == {0o600}
    assert {mode for name, mode in modes.items() if (paths.claude / name).is_dir()} == {0o700}


def test_the_page_is_filled_in_with_ids_only(tmp_path: Path) -> None:
    library, paths = make_library(tmp_path), make_session(tmp_path)
    write(library, "templates/CLAUDE.md", "{{user_id}}|{{resource_name}}|{{aws_profile}}|{{rule}}")
    inject(library, paths, replace(FACTS, aws_profile="Team 7"))
    page = (paths.claude / "CLAUDE.md").read_text()
    assert page == f"{USER_ID}|tmux-7f3c9e01-20260112142233|Team 7|all"


@pytest.mark.parametrize("value", ["x`y", "x\ny", "{{rule}}", "", "../x\0", "x" * 65])
def test_a_profile_that_could_say_more_than_a_name_is_refused(value: str) -> None:
    with pytest.raises(UsageError):
        replace(FACTS, aws_profile=value)
    with pytest.raises(UsageError):
        replace(FACTS, user_id=value)


def test_an_unknown_placeholder_is_an_error_with_its_line(tmp_path: Path) -> None:
    library, paths = make_library(tmp_path), make_session(tmp_path)
    write(library, "templates/CLAUDE.md", "one\ntwo {{email}}\n")
    with pytest.raises(LibraryError, match=r"templates/CLAUDE.md:2: unknown placeholder"):
        inject(library, paths, FACTS)
    assert not paths.claude.exists()


def test_a_library_that_cannot_keep_its_rule_writes_nothing(tmp_path: Path) -> None:
    library, paths = make_library(tmp_path), make_session(tmp_path)
    write_rules(library, rule("all", {}, agents=["testers/e2e", "testers/gone"]))
    with pytest.raises(LibraryError, match="testers/gone"):
        inject(library, paths, FACTS)
    assert not paths.claude.exists()


@pytest.mark.parametrize("file", ["CLAUDE.md", "settings.json", "hooks/event.sh"])
def test_a_missing_template_is_an_error(tmp_path: Path, file: str) -> None:
    library, paths = make_library(tmp_path), make_session(tmp_path)
    (library / "templates" / file).unlink()
    with pytest.raises(LibraryError, match=f"templates/{file}"):
        inject(library, paths, FACTS)


def test_injecting_again_touches_no_file(tmp_path: Path) -> None:
    library, paths = make_library(tmp_path), make_session(tmp_path)
    first = inject(library, paths, FACTS)
    before = state_of(paths)
    assert inject(library, paths, FACTS) == first
    assert state_of(paths) == before


def test_injecting_again_mends_what_was_changed(tmp_path: Path) -> None:
    library, paths = make_library(tmp_path), make_session(tmp_path)
    inject(library, paths, FACTS)
    (paths.claude / "settings.json").write_text('{"hooks": {}}')
    (paths.agents / "e2e.md").unlink()
    (paths.claude / "hooks/event.sh").chmod(0o600)
    shutil.rmtree(paths.skills / "testing-look")
    inject(library, paths, FACTS)
    assert injected_files(paths) == EXPECTED
    assert found_differences(paths) == {}
    assert stat.S_IMODE((paths.claude / "hooks/event.sh").stat().st_mode) == 0o700


def test_items_of_a_former_injection_go_and_other_files_stay(tmp_path: Path) -> None:
    library, paths = make_library(tmp_path), make_session(tmp_path)
    inject(library, paths, FACTS)
    (paths.agents / "own.md").write_text("the operator's own")
    write_item(library, "skills/new/one.md", "new-one")
    write_rules(library, rule("new", {}, agents=["testers/e2e"], skills=["new/one"]))
    inject(library, paths, FACTS)
    gone = {"agents/local.md", "skills/testing-check/SKILL.md", "skills/testing-look/SKILL.md"}
    new = {"agents/own.md", "skills/new-one/SKILL.md"}
    assert injected_files(paths) == (EXPECTED - gone) | new
    assert sorted(path.name for path in paths.skills.iterdir()) == ["new-one"]
    assert found_differences(paths) == {"agents/own.md": DifferenceKind.ADDED}


def test_an_injection_that_failed_half_way_leaves_nothing_that_the_next_one_keeps(
    tmp_path: Path,
) -> None:
    library, paths = make_library(tmp_path), make_session(tmp_path)
    inject(library, paths, FACTS)
    write_item(library, "skills/new/one.md", "new-one")
    write_rules(library, rule("new", {}, agents=["testers/e2e"], skills=["new/one"]))
    obstacle = paths.skills / "new-one"
    obstacle.symlink_to(tmp_path)
    with pytest.raises(StorageError):
        inject(library, paths, FACTS)
    obstacle.unlink()
    inject(library, paths, FACTS)
    assert found_differences(paths) == {}
    assert sorted(path.name for path in paths.skills.iterdir()) == ["new-one"]


def test_a_forged_lock_removes_nothing_but_items(tmp_path: Path) -> None:
    library, paths = make_library(tmp_path), make_session(tmp_path)
    inject(library, paths, FACTS)
    victim = write(paths.root, "source/index.html", "site")
    lock = read_lock(paths)
    assert lock is not None
    text = paths.injection_lock.read_text()
    for path in ("../source/index.html", "settings.json", "agents/../../source/index.html"):
        entry = f'{{"path": "{path}", "source": "x", "sha256": "0"}},'
        text = text.replace('"files": [', f'"files": [{entry}')
    paths.injection_lock.write_text(text)
    inject(library, paths, FACTS)
    assert victim.read_text() == "site"
    assert injected_files(paths) == EXPECTED
    assert read_lock(paths) == lock


def test_an_unreadable_lock_says_so_and_is_replaced(tmp_path: Path) -> None:
    library, paths = make_library(tmp_path), make_session(tmp_path)
    assert read_lock(paths) is None
    inject(library, paths, FACTS)
    paths.injection_lock.write_text('{"schema": "half')
    with pytest.raises(StorageError, match="cannot be read"):
        read_lock(paths)
    inject(library, paths, FACTS)
    assert found_differences(paths) == {}


@pytest.mark.parametrize("place", ["", "agents", "skills", "skills/testing-check", "hooks"])
def test_a_link_in_the_place_of_a_folder_is_refused_and_not_followed(
    tmp_path: Path, place: str
) -> None:
    library, paths = make_library(tmp_path), make_session(tmp_path)
    outside = tmp_path / "outside"
    outside.mkdir()
    link = paths.claude / place
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(outside)
    with pytest.raises(StorageError, match="is not a folder but a link"):
        inject(library, paths, FACTS)
    assert list(outside.iterdir()) == []


def test_a_link_in_the_place_of_a_file_is_replaced_and_its_target_is_untouched(
    tmp_path: Path,
) -> None:
    library, paths = make_library(tmp_path), make_session(tmp_path)
    inject(library, paths, FACTS)
    outside = write(tmp_path, "outside.txt", (paths.claude / "settings.json").read_text())
    for name in ("settings.json", "CLAUDE.md", "injection.lock.json", "agents/e2e.md"):
        (paths.claude / name).unlink()
        (paths.claude / name).symlink_to(outside)
    inject(library, paths, FACTS)
    assert not [name for name in EXPECTED if (paths.claude / name).is_symlink()]
    assert outside.read_text() == "{}\n"
    assert found_differences(paths) == {}


def test_a_linked_skill_folder_is_not_emptied(tmp_path: Path) -> None:
    library, paths = make_library(tmp_path), make_session(tmp_path)
    inject(library, paths, FACTS)
    outside = tmp_path / "outside"
    (paths.skills / "testing-look").rename(outside)
    (paths.skills / "testing-look").symlink_to(outside)
    write_rules(library, rule("less", {}, agents=["testers/e2e"], skills=["testing/check"]))
    inject(library, paths, FACTS)
    assert (outside / "SKILL.md").is_file()


def test_every_difference_from_the_lock_is_named(tmp_path: Path) -> None:
    library, paths = make_library(tmp_path), make_session(tmp_path)
    inject(library, paths, FACTS)
    (paths.agents / "e2e.md").write_text("changed")
    (paths.agents / "local.md").unlink()
    (paths.skills / "own").mkdir()
    (paths.skills / "own/SKILL.md").write_text("added")
    settings = paths.claude / "settings.json"
    copy = write(tmp_path, "copy.json", settings.read_text())
    settings.unlink()
    settings.symlink_to(copy)
    assert found_differences(paths) == {
        "agents/e2e.md": DifferenceKind.CHANGED,
        "agents/local.md": DifferenceKind.MISSING,
        "settings.json": DifferenceKind.CHANGED,
        "skills/own/SKILL.md": DifferenceKind.ADDED,
    }


def test_the_lock_names_rule_version_and_the_source_of_each_file(tmp_path: Path) -> None:
    library, paths = make_library(tmp_path), make_session(tmp_path)
    inject(library, paths, FACTS)
    lock = read_lock(paths)
    assert lock is not None
    assert (lock.rules, lock.product_version, lock.host_provider) == (("all",), "0.1.0", "local")
    sources = {file.path: file.source for file in lock.files}
    assert sources["skills/testing-look/SKILL.md"] == "skills/testing/look.md"
    assert sources["hooks/event.sh"] == "templates/hooks/event.sh"
    assert sources.keys() == EXPECTED - {"injection.lock.json"}


def test_a_plan_writes_nothing(tmp_path: Path) -> None:
    library, paths = make_library(tmp_path), make_session(tmp_path)
    plan = plan_injection(library, replace(FACTS, host_provider=HostProvider.AWS))
    assert {file.path for file in plan.files} == EXPECTED - {"injection.lock.json"}
    assert not paths.claude.exists()


def test_a_session_without_a_folder_is_a_storage_error(tmp_path: Path) -> None:
    paths = make_session(tmp_path, SESSION_ID)
    paths.root.rmdir()
    with pytest.raises(StorageError):
        inject(make_library(tmp_path), paths, FACTS)


def test_removing_what_was_added_follows_no_link_and_climbs_nowhere(tmp_path: Path) -> None:
    paths = make_session(tmp_path)
    inject(make_library(tmp_path), paths, FACTS)
    outside = write(tmp_path, "outside/file.md", "not ours")
    (paths.agents / "linked").symlink_to(outside.parent)
    own = write(paths.claude, "skills/mine/SKILL.md", "added")
    remove_added(
        paths, ["agents/linked/file.md", "../../../outside/file.md", "skills/mine/SKILL.md"]
    )
    assert outside.read_text() == "not ours"
    assert not own.parent.exists()
    assert paths.skills.is_dir()

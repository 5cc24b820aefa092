"""The operator's own library over the shipped one: what it replaces, adds, and may not touch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from core.config import load_settings
from core.errors import NotFoundError, UsageError
from core.injection.brief import starter_brief
from core.injection.catalogue import ItemKind, read_catalogue
from core.injection.inject import inject, plan_injection
from core.injection.layers import Layer, Library, operator_library
from core.injection.lock import read_lock
from core.injection.problems import LibraryError
from core.injection.rules import read_rules
from core.injection.validate import validate
from core.injection.why import list_items
from core.models.user import HostProvider, SiteType
from core.paths import DataRoot
from tests.unit.injection_library import (
    FACTS,
    make_library,
    make_session,
    rule,
    write,
    write_item,
    write_rules,
)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    folder = tmp_path / "own"
    folder.mkdir()
    return folder


@pytest.fixture
def library(tmp_path: Path, own: Path) -> Library:
    return Library(shipped=make_library(tmp_path), own=own, data_root=tmp_path / "users")


def problems(library: Library, *, strict: bool = False) -> list[str]:
    return [str(one) for one in validate(library, verbs={"deploy"}, strict=strict)]


def contents(library: Library) -> dict[str, str]:
    return {file.path: file.content.decode() for file in plan_injection(library, FACTS).files}


def test_without_an_own_folder_the_shipped_library_is_all_there_is(
    tmp_path: Path, library: Library
) -> None:
    alone = contents(Library(shipped=library.shipped))
    assert contents(library) == alone
    assert contents(replace(library, own=tmp_path / "nowhere")) == alone


def test_an_own_item_replaces_the_shipped_one_at_its_path(library: Library, own: Path) -> None:
    write_item(own, "agents/testers/e2e.md", "e2e", "My own way.")
    write_item(own, "skills/testing/look/SKILL.md", "testing-look", "My own look.")
    given = contents(library)
    assert "My own way." in given["agents/e2e.md"]
    assert "My own look." in given["skills/testing-look/SKILL.md"]
    item = read_catalogue(library).find(ItemKind.SKILL, "testing/look")
    assert item is not None
    assert (item.layer, item.replaces) == (Layer.OWN, "skills/testing/look.md")
    assert problems(library, strict=True) == []


def test_an_own_item_in_a_folder_that_a_rule_names_comes_along(library: Library, own: Path) -> None:
    write_item(own, "agents/testers/mobile.md", "mobile")
    assert "agents/mobile.md" in contents(library)
    assert "agents/e2e.md" in contents(library)


def test_own_rules_are_added_and_match_like_the_shipped_ones(library: Library, own: Path) -> None:
    write_item(own, "skills/house/style.md", "house-style")
    write_rules(own, rule("house", {"site_type": "static"}, skills=["house/style"]))
    assert [one.name for one in read_rules(library)] == ["all", "house"]
    assert plan_injection(library, FACTS).lock.rules == ("all", "house")
    assert "skills/house-style/SKILL.md" in contents(library)
    dynamic = plan_injection(library, replace(FACTS, site_type=SiteType.DYNAMIC))
    assert "house-style" not in dynamic.skills


def test_an_own_rule_takes_the_place_of_the_shipped_one_of_its_name(
    library: Library, own: Path
) -> None:
    write_rules(own, rule("all", {}, agents=["testers/e2e"]))
    [only] = read_rules(library)
    assert (only.replaces, only.folder) == (True, str(own))
    assert plan_injection(library, FACTS).agents == ("e2e",)


def test_a_rule_may_give_nothing_at_all(library: Library, own: Path) -> None:
    write_rules(own, rule("all", {}))
    plan = plan_injection(library, FACTS)
    assert (plan.agents, plan.skills, plan.lock.rules) == ((), (), ("all",))


def test_an_own_brief_is_the_starter_brief(library: Library, own: Path) -> None:
    write(own, "briefs/starter-static.md", "Build it our way.\n")
    assert starter_brief(library, SiteType.STATIC) == "Build it our way."
    assert starter_brief(library, SiteType.DYNAMIC) == "Build a dynamic site."


@pytest.mark.parametrize("file", ["settings.json", "hooks/event.sh", "CLAUDE.md", "other"])
def test_templates_hold_the_safety_rules_so_an_own_one_is_refused(
    tmp_path: Path, library: Library, own: Path, file: str
) -> None:
    write(own, f"templates/{file}", "{}")
    assert any(f"{own}/templates:1: templates hold the safety" in one for one in problems(library))
    paths = make_session(tmp_path)
    with pytest.raises(LibraryError, match="templates hold the safety rules"):
        inject(library, paths, FACTS)
    assert not paths.claude.exists()


def test_a_problem_names_the_file_with_its_layers_real_path(library: Library, own: Path) -> None:
    write(own, "agents/broken.md", "x\n")
    write_rules(own, rule("mine", {}, agents=["broken", "gone"]))
    write(library.shipped, "agents/odd.md", "x\n")
    found = problems(library)
    assert f"{own}/agents/broken.md:1: the first line must be ---, the start of the" in found[0]
    assert any(one.startswith(f"{library.shipped}/agents/odd.md:1: ") for one in found)
    assert any(one.startswith(f"{own}/injection_rules.json:") for one in found)
    with pytest.raises(LibraryError, match=f"{own}/agents/broken.md"):
        plan_injection(library, FACTS)


@pytest.mark.parametrize("text", ["{", '{"version": 2, "rules": []}', '{"rules": 1}'])
def test_broken_own_rules_are_a_problem_of_their_file(
    library: Library, own: Path, text: str
) -> None:
    write(own, "injection_rules.json", text)
    assert any(one.startswith(f"{own}/injection_rules.json:1: ") for one in problems(library))
    with pytest.raises(LibraryError, match=f"{own}/injection_rules.json"):
        plan_injection(library, FACTS)


def test_an_own_item_of_another_items_name_is_a_duplicate(library: Library, own: Path) -> None:
    write_item(own, "agents/mine/e2e.md", "e2e")
    found = "\n".join(problems(library))
    assert f"{own}/agents/mine/e2e.md:2: the name e2e is also that of" in found
    assert f"also that of {own}/agents/mine/e2e.md" in found


def test_links_and_strays_of_the_own_layer_are_seen(
    tmp_path: Path, library: Library, own: Path
) -> None:
    secret = write(tmp_path, "secret.md", "---\nname: secret\ndescription: d\n---\nkey\n")
    (own / "agents/testers").mkdir(parents=True)
    (own / "agents/testers/secret.md").symlink_to(secret)
    write(own, "notes.txt", "x")
    assert any("symbolic link is never followed" in one for one in problems(library))
    assert any(one.startswith(f"{own}/notes.txt:1: ") for one in problems(library, strict=True))
    with pytest.raises(LibraryError, match="symbolic link"):
        plan_injection(library, FACTS)


def test_a_folder_that_everybody_can_write_is_refused(library: Library, own: Path) -> None:
    own.chmod(0o777)
    assert any("chmod o-w" in one for one in problems(library))
    with pytest.raises(LibraryError, match="chmod o-w"):
        plan_injection(library, FACTS)


def test_a_folder_where_a_pane_writes_is_refused(tmp_path: Path, library: Library) -> None:
    site = tmp_path / "users/u/sessions/s/source"
    site.mkdir(parents=True)
    (tmp_path / "link").symlink_to(site)
    with pytest.raises(UsageError, match="lies in the data root"):
        plan_injection(replace(library, own=tmp_path / "link"), FACTS)


def test_the_list_shows_the_layer_and_says_what_an_own_item_replaces(
    library: Library, own: Path
) -> None:
    write_item(own, "agents/testers/e2e.md", "e2e")
    write_item(own, "skills/house/style.md", "house-style")
    write_item(own, "agents/spare.md", "spare")
    write_rules(own, rule("house", {"host_provider": "local"}, skills=["house/style"]))
    rows = {row.name: row for row in list_items(library, host_provider=HostProvider.LOCAL)}
    assert {name: str(row.layer) for name, row in rows.items()} == {
        "local": "shipped", "e2e": "own", "testing-check": "shipped", "testing-look": "shipped",
        "house-style": "own",
    }  # fmt: skip
    assert rows["e2e"].why.startswith("injection_rules.json:")
    assert rows["e2e"].why.endswith(f"your own {own}/agents/testers/e2e.md in place of the shipped"
                                    " agents/testers/e2e.md")  # fmt: skip
    assert rows["house-style"].why.startswith(f"{own}/injection_rules.json:")
    assert rows["local"].why.endswith("names deployers/local")
    spare = next(row for row in list_items(library) if row.name == "spare")
    assert spare.why == f"no rule injects it; your own {own}/agents/spare.md"


def test_the_lock_says_which_files_are_the_operators(
    tmp_path: Path, library: Library, own: Path
) -> None:
    write_item(own, "agents/testers/e2e.md", "e2e")
    paths = make_session(tmp_path)
    inject(library, paths, FACTS)
    lock = read_lock(paths)
    assert lock is not None
    assert [file.path for file in lock.files if file.layer is Layer.OWN] == ["agents/e2e.md"]
    assert paths.injection_lock.read_text().count('"layer"') == 1


def test_the_own_library_lies_beside_the_settings_or_where_a_setting_says(tmp_path: Path) -> None:
    environ, root = {"XDG_CONFIG_HOME": str(tmp_path)}, DataRoot(tmp_path / "users")
    usual = operator_library(load_settings({}, environ, tmp_path), root, environ)
    assert (usual.own, usual.is_named) == (tmp_path / "tmux-builder/library", False)
    assert len(usual.layers()) == 1
    environ["TMUX_BUILDER_LIBRARY_PATH"] = str(tmp_path / "mine")
    named = operator_library(load_settings({}, environ, tmp_path), root, environ)
    assert named.own == tmp_path / "mine"
    with pytest.raises(NotFoundError, match=r"which the setting library\.path names"):
        named.layers()
    (tmp_path / "mine").mkdir()
    assert [one.layer for one in named.layers()] == [Layer.SHIPPED, Layer.OWN]


@pytest.mark.parametrize("value", ["library", "./x", "", "~", "../x", 7])
def test_the_setting_takes_an_absolute_folder_only(tmp_path: Path, value: object) -> None:
    with pytest.raises(UsageError, match="an absolute folder"):
        load_settings({"library.path": value}, {}, tmp_path)

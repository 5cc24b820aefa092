"""The library verbs as an operator uses them, with a library of their own over the shipped one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from core.paths import DataRoot, SessionPaths, library_folder
from tests.unit.cli_program import call, in_terminal, new_session
from tests.unit.injection_library import rule, write, write_item, write_rules


@pytest.fixture
def own(place: DataRoot) -> Path:
    """The operator's library where nobody has to name it."""
    folder = Path(os.environ["HOME"]) / ".config/tmux-builder/library"
    folder.mkdir(parents=True)
    return folder


def session(place: DataRoot) -> tuple[str, SessionPaths]:
    user_id, session_id = new_session()
    return session_id, place.session(user_id, session_id)


def test_an_own_item_reaches_new_sessions_and_the_list_says_so(place: DataRoot, own: Path) -> None:
    write_item(own, "agents/deployers/local.md", "local", "Our way: `tmux-builder deploy`.")
    write_item(own, "skills/house/style.md", "house-style")
    write_rules(own, rule("house", {"site_type": "static"}, skills=["house/*"]))
    _, paths = session(place)
    assert "Our way" in (paths.agents / "local.md").read_text()
    assert (paths.skills / "house-style/SKILL.md").is_file()
    listed = call("library", "list", "--host", "local", "--site", "static", "--json").document
    layers = {row["name"]: row["layer"] for row in listed["data"]["items"]}
    assert {name for name, layer in layers.items() if layer == "own"} == {"local", "house-style"}
    assert "(own)" in call("library", "list", "--host", "local", "--site", "static").out
    why = call("library", "list", "--kind", "agent", "--why").out
    assert f"your own {own}/agents/deployers/local.md in place of the shipped" in why
    assert call("library", "validate", "--strict").code == 0


def test_validate_names_the_file_of_the_own_layer_and_the_option_that_does_not_exist(
    place: DataRoot, own: Path
) -> None:
    write_item(own, "agents/deployers/local.md", "local", "Run `tmux-builder deploy --nonsense`.")
    write(own, "templates/settings.json", "{}")
    ended = call("library", "validate", "--json")
    assert (ended.code, ended.document["error"]["code"]) == (6, "library_invalid")
    problems = {row["file"]: row for row in ended.document["data"]["problems"]}
    agent = problems[f"{own}/agents/deployers/local.md"]
    assert (agent["line"], agent["text"]) == (5, "tmux-builder deploy has no option --nonsense")
    assert "safety rules" in problems[f"{own}/templates"]["text"]
    person = call("library", "validate")
    assert f"{own}/agents/deployers/local.md:5: tmux-builder deploy has no option" in person.out
    created = call("user", "create", "--email", "a@b.co", "--phone", "5550100199", "--json")
    assert (created.code, created.document["error"]["code"]) == (6, "library_invalid")
    assert str(own) in created.document["error"]["message"]


def test_a_folder_is_validated_alone_with_paths_relative_to_it(place: DataRoot, own: Path) -> None:
    write(own, "agents/broken.md", "x")
    assert call("library", "validate", str(library_folder()), "--strict").code == 0
    alone = call("library", "validate", str(own), "--json").document["data"]["problems"]
    assert "agents/broken.md" in {row["file"] for row in alone}


def test_the_setting_names_another_folder(place: DataRoot, own: Path, tmp_path: Path) -> None:
    write_item(tmp_path, "agents/testers/mobile.md", "mobile")
    named = {"TMUX_BUILDER_LIBRARY_PATH": str(tmp_path)}
    rows = call("library", "list", "--json", environ=named).document["data"]["items"]
    assert "mobile" in {row["name"] for row in rows if row["layer"] == "own"}
    gone = {"TMUX_BUILDER_LIBRARY_PATH": str(tmp_path / "gone")}
    ended = call("library", "list", "--json", environ=gone)
    assert ended.code == 3
    assert "library.path" in ended.document["error"]["message"]
    assert call("config", "show", environ=gone).code == 0


def test_diff_and_update_bring_an_older_session_to_the_library_of_now(
    place: DataRoot, own: Path
) -> None:
    session_id, paths = session(place)
    assert call("library", "diff", session_id, "--json").document["data"]["is_current"] is True
    assert "has what the library gives" in call("library", "diff", session_id).out
    write_item(own, "agents/deployers/local.md", "local", "Our way.")
    document = call("library", "diff", session_id, "--json").document
    assert (document["ok"], document["exit"], document["data"]["is_current"]) == (True, 0, False)
    assert document["data"]["session_id"] == session_id
    [row] = [one for one in document["data"]["files"] if one["state"] != "unchanged"]
    assert (row["path"], row["state"], row["patch"]) == ("agents/local.md", "outdated", None)
    assert None not in (row["library_sha256"], row["session_sha256"])
    person = call("library", "diff", session_id, "--patch")
    assert "older copy" in person.out
    assert "+Our way." in person.out
    planned = call("library", "update", session_id, "-n", "--json").document["data"]["sessions"]
    assert [one["state"] for one in planned] == ["planned"]
    assert "Our way" not in (paths.agents / "local.md").read_text()
    done = call("library", "update", session_id, "--json")
    assert (done.code, done.document["data"]["sessions"][0]["state"]) == (0, "updated")
    assert done.document["warnings"] == []
    assert "Our way" in (paths.agents / "local.md").read_text()


def test_what_was_changed_by_hand_needs_a_yes(place: DataRoot) -> None:
    session_id, paths = session(place)
    agent = paths.agents / "local.md"
    shipped = agent.read_text()
    agent.write_text("by hand")
    refused = call("library", "update", session_id, "--json")
    assert (refused.code, refused.document["error"]["code"]) == (9, "confirmation_needed")
    assert refused.document["data"]["sessions"][0]["state"] == "changed_by_hand"
    assert "agents/local.md" in refused.document["error"]["message"]
    everybody = call("library", "update", "--all", "--json")
    assert everybody.code == 9
    assert agent.read_text() == "by hand"
    code, shown = in_terminal(
        ["library", "update", session_id], after="[y/N]", keys=b"n\n"
    )  # fmt: skip
    assert (code, agent.read_text()) == (9, "by hand")
    assert "agents/local.md" in shown
    code, _ = in_terminal(["library", "update", session_id], after="[y/N]", keys=b"y\n")
    assert (code, agent.read_text()) == (0, shipped)
    agent.write_text("by hand again")
    assert call("library", "update", "--all", "-y").code == 0
    assert agent.read_text() == shipped

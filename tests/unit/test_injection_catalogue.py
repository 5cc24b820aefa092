"""What becomes an item of a library, and what never does."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import NotFoundError
from core.injection.catalogue import ITEM_LIMIT_BYTES, ItemKind, read_catalogue
from core.injection.front_matter import FrontMatterFault, parse_front_matter
from tests.unit.injection_library import make_library, write, write_item


def problem_of(library: Path, path: str, kind: ItemKind = ItemKind.AGENT) -> str:
    item = read_catalogue(library).find(kind, path)
    assert item is not None
    assert item.problem is not None
    return str(item.problem)


def test_a_library_is_read_into_agents_and_skills(tmp_path: Path) -> None:
    catalogue = read_catalogue(make_library(tmp_path))
    assert [(i.kind, i.path, i.name, i.target) for i in catalogue.items] == [
        ("agent", "deployers/local", "local", "agents/local.md"),
        ("agent", "testers/e2e", "e2e", "agents/e2e.md"),
        ("skill", "testing/check", "testing-check", "skills/testing-check/SKILL.md"),
        ("skill", "testing/look", "testing-look", "skills/testing-look/SKILL.md"),
    ]
    assert not [item for item in catalogue.items if item.problem]
    assert catalogue.items[0].description == "Helps with local."


def test_a_library_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        read_catalogue(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("No front matter.\n", "x.md:1: "),
        ("---\nname: x\n", "no closing"),
        ("---\nname: x\n---\nText\n", "lacks description"),
        ("---\ndescription: d\n---\nText\n", "lacks name"),
        ("---\nname: other\ndescription: d\n---\nText\n", "x.md:2: the name is 'other'"),
        ("---\nname: x\ndescription: d\nshape: round\n---\nText\n", "x.md:4: unknown key shape"),
        ("---\nname: x\ndescription: a: b\n---\nText\n", "x.md:3: "),
        ("---\nname: x\ndescription: [a]\n---\nText\n", "x.md:3: "),
        ("---\nname: x\ndescription: true\n---\nText\n", "x.md:3: "),
        ("---\nname: x\nname: x\ndescription: d\n---\nText\n", "x.md:3: name is given twice"),
        ("---\nname: x\ndescription: d\n---\n\n", "no text after"),
        ("---\r\nname: x\r\n---\r\nText\r\n", "carriage return"),
        (f"---\nname: x\ndescription: {'d' * 401}\n---\nText\n", "x.md:3: the description is"),
        (f"---\nname: x\ndescription: d\n---\n{'t' * ITEM_LIMIT_BYTES}\n", "at most"),
    ],
)
def test_an_item_that_claude_could_not_use_has_a_problem_with_its_place(
    tmp_path: Path, text: str, place: str
) -> None:
    library = make_library(tmp_path)
    write(library, "agents/x.md", "").write_bytes(text.encode())
    assert place in problem_of(library, "x")


def test_text_that_is_not_utf8_has_a_problem(tmp_path: Path) -> None:
    library = make_library(tmp_path)
    write(library, "agents/x.md", "").write_bytes(b"---\nname: x\ndescription: \xff\n---\nT\n")
    assert "x.md:3: this is not UTF-8" in problem_of(library, "x")


def test_two_items_of_one_name_both_have_a_problem(tmp_path: Path) -> None:
    library = make_library(tmp_path)
    write_item(library, "agents/other/e2e.md", "e2e")
    write_item(library, "skills/testing/check.md", "testing-check")
    assert "testers/e2e.md" in problem_of(library, "other/e2e")
    assert "other/e2e.md" in problem_of(library, "testers/e2e")
    assert "also that of" in problem_of(library, "testing/check", ItemKind.SKILL)


def test_links_are_refused_wherever_they_stand(tmp_path: Path) -> None:
    library = make_library(tmp_path)
    outside = write_item(tmp_path, "outside/secret.md", "secret")
    (library / "agents/testers/secret.md").symlink_to(outside)
    (library / "agents/linked").symlink_to(outside.parent)
    (library / "skills/testing/linked").symlink_to(outside.parent)
    catalogue = read_catalogue(library)
    assert {problem.file for problem in catalogue.refused} == {
        "agents/testers/secret.md",
        "agents/linked",
        "skills/testing/linked",
    }
    assert "secret" not in {item.name for item in catalogue.items}


def test_a_linked_skill_document_is_known_and_has_a_problem(tmp_path: Path) -> None:
    library = make_library(tmp_path)
    document = library / "skills/testing/check/SKILL.md"
    document.rename(tmp_path / "moved.md")
    document.symlink_to(tmp_path / "moved.md")
    assert "symbolic link" in problem_of(library, "testing/check", ItemKind.SKILL)


def test_a_linked_agents_folder_gives_no_items(tmp_path: Path) -> None:
    library = make_library(tmp_path)
    (library / "agents").rename(tmp_path / "agents")
    (library / "agents").symlink_to(tmp_path / "agents")
    catalogue = read_catalogue(library)
    assert not [item for item in catalogue.items if item.kind is ItemKind.AGENT]
    assert [problem.file for problem in catalogue.refused] == ["agents"]


def test_hidden_and_foreign_files_are_never_items(tmp_path: Path) -> None:
    library = make_library(tmp_path)
    write_item(library, "agents/testers/.hidden.md", "hidden")
    write_item(library, "agents/.hidden/deep.md", "deep")
    write(library, "agents/notes.txt", "x")
    catalogue = read_catalogue(library)
    assert len(catalogue.items) == 4
    assert {problem.file for problem in catalogue.ignored} == {
        "agents/testers/.hidden.md",
        "agents/.hidden",
        "agents/notes.txt",
    }


@pytest.mark.parametrize(
    "file",
    [
        "skills/aws/x/skill.md",
        "skills/testing/check/extra.py",
        "agents/Upper.md",
        "agents/with space.md",
        "agents/-dash.md",
    ],
)
def test_what_looks_like_an_item_and_cannot_be_one_is_refused(tmp_path: Path, file: str) -> None:
    library = make_library(tmp_path)
    write(library, file, "x")
    assert [problem.file for problem in read_catalogue(library).refused] == [file]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(name=st.text(min_size=1, max_size=30).filter(lambda text: "/" not in text))
def test_no_file_name_becomes_an_item_that_is_not_a_plain_word(tmp_path: Path, name: str) -> None:
    library = tmp_path / "library"
    try:
        path = write(library, f"agents/{name}.md", "x")
    except (OSError, ValueError):
        return
    items = read_catalogue(library).items
    path.unlink()
    for item in items:
        assert item.name.isascii()
        assert item.name.replace("-", "").isalnum()
        assert item.name == item.name.lower()


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_with_a_line(content: bytes) -> None:
    for document in (content, b"---\n" + content, b"---\nname: x\n---\n" + content):
        try:
            values = parse_front_matter(document)
        except FrontMatterFault as fault:
            is_in_document = 1 <= fault.line <= document.count(b"\n") + 1
            assert is_in_document, fault.line  # noqa: PT017 - both outcomes are right
        else:
            assert all(value.strip() and "\n" not in value for value in values.values())

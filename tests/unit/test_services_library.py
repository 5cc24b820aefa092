from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from core.errors import NotFoundError, UsageError
from core.paths import library_folder
from tests.unit.services_place import Place, make_place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return make_place(tmp_path)


def test_the_list_says_what_is_injected_and_why(place: Place) -> None:
    rows = place.services.library.list(host_provider="local", site_type="static", kind="agent")

    assert {row.rule for row in rows} == {"local/static"}
    assert "local" in {row.name for row in rows}
    assert all(row.why and row.sha and row.path for row in rows)


def test_bad_choices_are_refused(place: Place) -> None:
    for bad in ({"host_provider": "gcp"}, {"site_type": "wiki"}, {"kind": "spell"}):
        with pytest.raises(UsageError):
            place.services.library.list(**bad)


def test_the_shipped_library_is_valid_and_counted(place: Place) -> None:
    report = place.services.library.validate(strict=True)

    assert report.problems == ()
    assert (report.agents, report.skills) >= (9, 15)


def test_a_broken_copy_is_found_out(place: Place, tmp_path: Path) -> None:
    copy = tmp_path / "library"
    shutil.copytree(library_folder(), copy)
    (copy / "agents/deployers/local.md").unlink()

    problems = place.services.library.validate(copy).problems
    assert any("deployers/local" in str(problem) for problem in problems)
    with pytest.raises(NotFoundError):
        place.services.library.validate(tmp_path / "nothing")

"""The result documents as files, and the JUnit report."""

from __future__ import annotations

import json
import stat
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from core.checks.documents import to_json, write_document
from core.checks.junit import write_junit
from core.errors import StorageError
from core.models.checks import CheckDocument
from core.models.execution import Json

DETAILS: dict[str, Json] = {
    "url": "http://127.0.0.1:1/",
    "cases": [
        {"name": "links: /", "outcome": "failed", "message": "got <404> & \x00\ud800"},
        {"name": "title: /", "outcome": "passed", "message": ""},
        {"name": "own: test_a.py::test_b", "outcome": "skipped", "message": "later"},
    ],
    "failures": [{"name": "links: /", "message": "got <404>", "log": "all\x1b[0m of it"}],
}
DOCUMENT = CheckDocument(
    test="e2e",
    timestamp=datetime(2026, 1, 12, 14, 30, 6, tzinfo=UTC),
    passed=False,
    duration_ms=1500,
    attempts=1,
    details=DETAILS,
    error="1 of 3 tests failed.",
)


def test_a_document_has_the_agreed_keys_in_their_order() -> None:
    document = to_json(DOCUMENT)
    assert list(document) == [
        "test", "timestamp", "passed", "duration_ms", "attempts", "details", "error", "skipped",
    ]  # fmt: skip
    assert document["timestamp"] == "2026-01-12T14:30:06.000Z"


def test_a_document_is_written_private_under_the_name_of_its_test(tmp_path: Path) -> None:
    path = write_document(DOCUMENT, tmp_path)
    assert path == tmp_path / "e2e.json"
    assert json.loads(path.read_bytes())["error"] == "1 of 3 tests failed."
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_became_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "tests").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageError):
        write_document(DOCUMENT, tmp_path / "tests")
    assert not list((tmp_path / "elsewhere").iterdir())


def test_the_junit_report_counts_and_survives_what_xml_cannot_hold(tmp_path: Path) -> None:
    write_junit(DOCUMENT, tmp_path / "report.xml")
    suite = ET.parse(tmp_path / "report.xml").getroot().find("testsuite")
    assert suite is not None
    counts = [suite.get(key) for key in ("tests", "failures", "skipped", "errors")]
    assert counts == ["3", "1", "1", "0"]
    failure = suite.find("testcase/failure")
    assert failure is not None
    assert (failure.text or "").startswith("all")
    own = suite.findall("testcase")[2]
    assert (own.get("classname"), own.get("name")) == ("own", "test_a.py::test_b")

"""The end-to-end result as JUnit XML, for other people's tools."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec

from core.clock import to_text
from core.files import write_atomically
from core.models.checks import CheckDocument

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class _Test(msgspec.Struct):
    name: str
    outcome: str
    message: str


class _Failure(msgspec.Struct):
    name: str
    message: str
    log: str


class _Details(msgspec.Struct):
    url: str
    cases: list[_Test]
    failures: list[_Failure]


def write_junit(document: CheckDocument, path: Path) -> None:
    """Write one test suite with a case per test.

    Raises:
        StorageError: The file cannot be written.
    """
    details = msgspec.convert(dict(document.details), type=_Details)
    logs = {failure.name: failure.log for failure in details.failures}
    counts = [sum(test.outcome == word for test in details.cases) for word in ("failed", "skipped")]
    suite = ET.Element(
        "testsuite",
        name="e2e",
        hostname=_text(details.url),
        tests=str(len(details.cases)),
        failures=str(counts[0]),
        errors="0",
        skipped=str(counts[1]),
        time=f"{document.duration_ms / 1000:.3f}",
        timestamp=to_text(document.timestamp),
    )
    for test in details.cases:
        _add_case(suite, test, logs.get(test.name, ""))
    root = ET.Element("testsuites")
    root.append(suite)
    write_atomically(path, ET.tostring(root, encoding="utf-8", xml_declaration=True))


def _add_case(suite: ET.Element, test: _Test, log: str) -> None:
    kind, _, rest = test.name.partition(": ")
    case = ET.SubElement(suite, "testcase", classname=_text(kind), name=_text(rest or kind))
    if test.outcome == "failed":
        ET.SubElement(case, "failure", message=_text(test.message)).text = _text(log)
    elif test.outcome == "skipped":
        ET.SubElement(case, "skipped", message=_text(test.message))


def _text(text: str) -> str:
    """Without the characters that XML cannot hold."""
    return _NOT_XML.sub("\ufffd", text)

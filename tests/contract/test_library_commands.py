"""Every command and every example that the library's documents hold is really run.

The product's verbs run in the pane of a real Claude or, where a document hands them to the
operator, in a shell in the session's folder; both on a site that is made of the documents' own
examples. What needs a cloud is in `test_library_clouds.py` and `test_library_files.py`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from xml.etree import ElementTree as ET

import pytest

from core.models.session import SessionKey
from core.models.states import ExecutionStatus
from tests.contract.library_examples import (
    example_app,
    example_site,
    in_shell,
    menu_test,
    put,
    put_test,
)
from tests.contract.library_kit import block, commands, document, documents
from tests.contract.loop_kit import Loop, answers, bash, get, needs_claude, running_loop
from tests.contract.test_library_clouds import AWS_COMMANDS
from tests.contract.test_library_files import CLOUD_COMMANDS
from tmux_bridge.scripted_model import Reply, ScriptedModel, Turn
from tmux_bridge.scripted_model.script import When

pytestmark = [*needs_claude, pytest.mark.browser]

LONG_TURN_S = 150.0
"""A turn of several commands that start a browser each."""

ALL_PASSED = r"^([1-9]\d*)/\1$"
PICTURE = "deployment/tests/screenshot.png"
LOCAL_URL = "http://127.0.0.1:"
OFFER = "<!doctype html><title>Offer</title><h1>Today: rye</h1>"


LOOKS = {
    "tmux-builder status": "e2e_tests",
    "tmux-builder status --json": '"status": "completed"',
    "tmux-builder check": "ok 200 text/html",
    "tmux-builder check --retries 5": "ok 200 text/html",
    "tmux-builder screenshot": PICTURE,
    "tmux-builder screenshot --width 768": PICTURE,
    "tmux-builder screenshot --viewport": PICTURE,
    "grep -h ERROR logs/run-*.jsonl": "/nowhere/",
    'grep -h "cache being emptied" logs/run-*.jsonl': "no output",
}
"""What Claude runs in its pane, and what must be in the answer. Nothing is cached here."""

TESTS = {
    "tmux-builder test --list": "accessibility: /menu/",
    "tmux-builder test --grep menu": ALL_PASSED,
    "tmux-builder test --grep accessibility": ALL_PASSED,
    "tmux-builder test": ALL_PASSED,
}
DEPLOY = {"tmux-builder deploy": LOCAL_URL}
ROLLBACK = {"tmux-builder rollback": LOCAL_URL}
PANE = {"looks": LOOKS, "tests": TESTS, "deploy": DEPLOY, "rollback": ROLLBACK}

OPERATOR = {
    "tmux-builder session logs . --app --lines 50": "serving the guest book",
    "tmux-builder session drift .": "as the last deploy left it",
    "tmux-builder session env set . API_KEY < key.txt": "",
    "tmux-builder config set domain.zone example.org": "",
}
"""What the operator runs in a shell in the session's folder, outside of the pane."""

BLOCKS = {
    ("skills/site/structure/SKILL.md", "text"): "the files of the static site",
    ("skills/site/structure/SKILL.md", "html"): "each of its pages",
    ("skills/site/responsive-layout/SKILL.md", "css"): "its style sheet",
    ("skills/site/accessibility/SKILL.md", "css"): "its style sheet",
    ("skills/site/images/SKILL.md", "svg"): "its icon",
    ("skills/site/images/SKILL.md", "html"): "a picture on its menu page",
    ("skills/site/forms/SKILL.md", "html"): "the form on its contact page",
    ("skills/site/seo/SKILL.md", "html"): "in the head of its start page",
    ("skills/site/seo/SKILL.md", "text"): "its robots.txt",
    ("skills/site/seo/SKILL.md", "xml"): "its sitemap.xml",
    ("skills/testing/e2e-tests/SKILL.md", "python"): "its own test",
    ("skills/site/dynamic-app/SKILL.md", "procfile"): "the dynamic site's Procfile",
    ("skills/site/dynamic-app/SKILL.md", "python"): "the dynamic site's app.py",
}
"""Where each example is put to use."""


@pytest.fixture(scope="module")
def loop() -> Iterator[Loop]:
    with running_loop() as loop:
        yield loop


@dataclass(frozen=True, slots=True, kw_only=True)
class Pane:
    """A session whose Claude runs the commands of one table for the wish of its name."""

    loop: Loop
    key: SessionKey
    model: ScriptedModel

    @property
    def url(self) -> str:
        session = self.loop.services.environment.store.sessions.get(self.key)
        assert session is not None
        return str(session.url)

    def run(self, table: str) -> None:
        """A turn with every command of a table, to its end; each must answer as it says."""
        prompt = self.loop.services.chat.send(self.key, f"Do the {table}")
        turn = self.loop.services.chat.wait_reply(prompt.prompt_id, LONG_TURN_S)
        assert turn.message == f"The {table} are done."
        for (command, expected), said in zip(PANE[table].items(), self._said(table), strict=True):
            assert re.search(expected, said, re.MULTILINE), f"{command} answered {said}"
            assert "Exit code" not in said, f"{command} answered {said}"

    def _said(self, table: str) -> list[str]:
        requests = [one for one in self.model.requests if one.turn == table]
        return [plain(raw) for one in requests for raw in one.tool_results]


@pytest.fixture(scope="module")
def pane(loop: Loop) -> Pane:
    """The site of the examples, whose first run failed by a dead link and whose second is live."""
    model = loop.model(*(turn(table, commands) for table, commands in PANE.items()))
    key = loop.session(model)
    site = example_site()
    dead = site["index.html"].replace(b'href="/menu/"', b'href="/nowhere/"')
    put(loop, key, {**site, "index.html": dead})
    put_test(loop, key, menu_test())
    failed = loop.wait(loop.start(key))
    assert failed.status is ExecutionStatus.FAILED, loop.told(failed.execution_id)
    put(loop, key, site)
    loop.run(key)
    return Pane(loop=loop, key=key, model=model)


def turn(table: str, commands: Iterable[str]) -> Turn:
    """One command after the other, and a last word."""
    steps = [Reply(text="Next.", calls=(bash(command),)) for command in commands]
    done = Reply(text=f"The {table} are done.")
    return Turn(name=table, when=When(text=f"Do the {table}$"), replies=(*steps, done))


def plain(raw: str) -> str:
    """A tool's result as text."""
    said = json.loads(raw)
    if isinstance(said, str):
        return said
    return "\n".join(str(part.get("text", "")) for part in said)


def test_every_command_has_a_case_and_every_case_a_command() -> None:
    in_pane = {command for table in PANE.values() for command in table}
    assert set(commands()) == {*in_pane, *OPERATOR, *AWS_COMMANDS, *CLOUD_COMMANDS}


def test_every_example_is_put_to_use() -> None:
    found = [(one.file, one.language) for text in documents() for one in text.blocks()]
    assert sorted(found) == sorted(BLOCKS)


def test_the_operators_commands_stand_in_no_line_for_claude() -> None:
    """The pane refuses them, so a document that lets Claude try one misleads it."""
    for command in (*OPERATOR, *AWS_COMMANDS, "tmux-builder deploy . --suffix x1"):
        for file in commands()[command]:
            text = next(one.text for one in documents() if one.file == file)
            paragraphs = [part for part in text.split("\n\n") if command in " ".join(part.split())]
            assert all("operator" in part.lower() for part in paragraphs), (file, command)


def test_the_files_of_the_structure_skill_are_those_of_the_site() -> None:
    listed = [line.split()[0] for line in block("site/structure", "text").splitlines() if line]
    assert listed
    assert {name.removeprefix("source/") for name in listed} <= set(example_site())
    assert 'role="region" aria-label="Prices"' in document("site/responsive-layout").text


def test_the_seo_examples_are_what_search_engines_read() -> None:
    head, _, rest = block("site/seo", "html").partition('<script type="application/ld+json">')
    assert "og:title" in head
    assert json.loads(rest.partition("</script>")[0])["@context"] == "https://schema.org"
    pages = ET.fromstring(block("site/seo", "xml"))
    assert len(pages) == 2


@pytest.mark.parametrize("table", ["looks", pytest.param("tests", marks=pytest.mark.deep)])
def test_claude_runs_every_look_and_test_that_the_documents_name(pane: Pane, table: str) -> None:
    pane.run(table)


@pytest.mark.deep
def test_claude_deploys_and_rolls_back_with_the_documents_commands(pane: Pane) -> None:
    put(pane.loop, pane.key, {"offer/index.html": OFFER.encode()})
    pane.run("deploy")
    assert b"Today: rye" in get(pane.url, "/offer/")
    pane.run("rollback")
    assert not answers(pane.url, "/offer/")
    assert b"Welcome" in get(pane.url)


def test_the_operator_runs_every_command_in_the_sessions_folder(loop: Loop) -> None:
    key = loop.session(site_type="dynamic")
    put(loop, key, example_app())
    url = str(loop.run(key).result["url"])
    folder = loop.paths(key).root
    (folder / "key.txt").write_text("k-123")
    for command, expected in OPERATOR.items():
        done = in_shell(loop, key, command)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        assert expected in done.stdout, f"{command}: {done.stdout}{done.stderr}"
    assert b"Guest book" in get(url)
    listed = in_shell(loop, key, "tmux-builder session env list .")
    assert listed.stdout.split() == ["API_KEY"]
    shown = in_shell(loop, key, "tmux-builder config get domain.zone")
    assert shown.stdout.strip() == "example.org"

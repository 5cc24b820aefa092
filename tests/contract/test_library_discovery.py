"""The real Claude Code CLI announces what was injected into a session, and nothing else.

The model is a loopback server that records the first request and answers one word.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from core.injection.catalogue import read_catalogue
from core.injection.inject import Injected, inject
from core.injection.lock import differences, read_lock
from core.injection.templates import SessionFacts
from core.models.user import HostProvider, SiteType
from core.paths import CHECKOUT, DataRoot, SessionPaths, library_folder

pytestmark = pytest.mark.claude

USER_ID = "7f3c9e01-5b1d-5c7e-9a43-2f6f0a6f11aa"
KEY = "sk-ant-loopback-00000000000000000000"
DEADLINE_S = 30
AGENTS_HEADING = "Available agent types for the Agent tool:"
SKILLS_HEADING = "The following skills are available for use with the Skill tool:"
MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "content": [],
    "stop_reason": None,
    "stop_sequence": None,
    "usage": {"input_tokens": 1, "output_tokens": 1},
}


class RecordingModel(BaseHTTPRequestHandler):
    """Answers every Messages request with the word ok and keeps its body."""

    protocol_version = "HTTP/1.1"
    server: RecordingServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.bodies.append(body)
        events: list[tuple[str, dict[str, Any]]] = [
            ("message_start", {"message": {**MESSAGE, "model": body["model"]}}),
            ("content_block_start", {"index": 0, "content_block": {"type": "text", "text": ""}}),
            ("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": "ok"}}),
            ("content_block_stop", {"index": 0}),
            (
                "message_delta",
                {"delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}},
            ),
            ("message_stop", {}),
        ]
        lines = [f"event: {n}\ndata: {json.dumps({'type': n, **d})}\n\n" for n, d in events]
        self.answer("".join(lines).encode(), "text/event-stream")

    def do_GET(self) -> None:
        self.answer(b'{"data": []}', "application/json")

    def answer(self, content: bytes, content_type: str) -> None:
        self.send_response(200)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Stay silent."""


class RecordingServer(ThreadingHTTPServer):
    """A model on loopback; `bodies` are the requests so far."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), RecordingModel)
        self.bodies: list[dict[str, Any]] = []


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstRequest:
    """What Claude told the model before the first word of the operator."""

    text: str

    def announced(self, heading: str) -> set[str]:
        listing = self.text.partition(heading)[2].lstrip("\n").partition("\n\n")[0]
        return set(re.findall(r"^- ([\w:.-]+): ", listing, flags=re.MULTILINE))

    @property
    def instruction_files(self) -> list[str]:
        return re.findall(r"^Contents of (\S+) \(", self.text, flags=re.MULTILINE)


@pytest.fixture(scope="module")
def claude() -> str:
    installed = CHECKOUT / ".tools/node_modules/.bin/claude"
    program = str(installed) if installed.exists() else shutil.which("claude")
    if program is None:
        pytest.skip("NOT TESTED: the Claude Code CLI is not installed; run make test to get it")
    return program


@contextmanager
def recording() -> Iterator[RecordingServer]:
    with RecordingServer() as server:
        thread = threading.Thread(target=server.serve_forever, name="recording-model")
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join(DEADLINE_S)


def first_request(claude: str, paths: SessionPaths) -> FirstRequest:
    """Start the CLI in the session's folder, say hello, and return what the model was sent."""
    subprocess.run(["git", "init", "-q"], cwd=paths.root, check=True, timeout=DEADLINE_S)
    seed_configuration(paths)
    with recording() as server:
        environment = {
            "HOME": str(paths.claude_config),
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "TERM": "dumb",
            "LANG": "C.UTF-8",
            "CLAUDE_CONFIG_DIR": str(paths.claude_config),
            "ANTHROPIC_API_KEY": KEY,
            "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{server.server_port}",
            "DISABLE_TELEMETRY": "1",
            "DISABLE_AUTOUPDATER": "1",
            "DISABLE_ERROR_REPORTING": "1",
            "DISABLE_BUG_COMMAND": "1",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "CLAUDE_CODE_MAX_RETRIES": "1",
        }
        done = subprocess.run(
            [claude, "-p", "hello", "--permission-mode", "dontAsk"],
            cwd=paths.root,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=DEADLINE_S,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip() == "ok"
        return FirstRequest(text=text_of(server.bodies[0]))


def seed_configuration(paths: SessionPaths) -> None:
    paths.claude_config.mkdir(parents=True)
    document = {
        "hasCompletedOnboarding": True,
        "hasSeenAutoDefaultNotice": True,
        "projects": {str(paths.root.resolve()): {"hasTrustDialogAccepted": True}},
        "customApiKeyResponses": {"approved": [KEY[-20:]], "rejected": []},
    }
    (paths.claude_config / ".claude.json").write_text(json.dumps(document))


def text_of(body: dict[str, Any]) -> str:
    parts: list[str] = []
    for holder in [*body["messages"], {"content": body.get("system", "")}]:
        content = holder["content"]
        blocks = [{"text": content}] if isinstance(content, str) else content
        parts += [str(block.get("text", "")) for block in blocks]
    return "\n\n".join(parts)


def make_session(folder: Path, session_id: str) -> SessionPaths:
    paths = DataRoot(folder / "users").session(USER_ID, session_id)
    paths.root.mkdir(parents=True)
    return paths


def inject_shipped(paths: SessionPaths, host: HostProvider, site: SiteType) -> Injected:
    facts = SessionFacts(
        user_id=USER_ID,
        session_id=paths.root.name,
        host_provider=host,
        site_type=site,
        product_version="0.1.0",
    )
    return inject(library_folder(), paths, facts)


def plant_in_parent(paths: SessionPaths) -> None:
    """What another customer's or the operator's own folder above could leak in."""
    parent = paths.root.parent / ".claude"
    for name in ("agents/stranger.md", "skills/stranger/SKILL.md"):
        file = parent / name
        file.parent.mkdir(parents=True)
        file.write_text("---\nname: stranger\ndescription: Must never be seen.\n---\nx\n")


@pytest.fixture(scope="module")
def built_in(claude: str, tmp_path_factory: pytest.TempPathFactory) -> FirstRequest:
    """What the CLI announces by itself, in an empty session."""
    paths = make_session(tmp_path_factory.mktemp("empty"), "sess_20260112_000000")
    return first_request(claude, paths)


@pytest.mark.parametrize(
    ("host", "site"),
    [
        (HostProvider.AWS, SiteType.STATIC),
        (HostProvider.AZURE, SiteType.DYNAMIC),
        (HostProvider.LOCAL, SiteType.STATIC),
    ],
)
def test_claude_announces_what_was_injected_and_nothing_else(
    claude: str, built_in: FirstRequest, tmp_path: Path, host: HostProvider, site: SiteType
) -> None:
    paths = make_session(tmp_path, "sess_20260112_142233")
    injected = inject_shipped(paths, host, site)
    plant_in_parent(paths)
    request = first_request(claude, paths)
    own_agents = built_in.announced(AGENTS_HEADING)
    own_skills = built_in.announced(SKILLS_HEADING)
    assert own_agents, "the CLI's own listing was not found, so this test would prove nothing"
    assert own_skills, "the CLI's own listing was not found, so this test would prove nothing"
    assert request.announced(AGENTS_HEADING) == own_agents | set(injected.agents)
    assert request.announced(SKILLS_HEADING) == own_skills | set(injected.skills)
    assert request.instruction_files == [str(paths.claude / "CLAUDE.md")]
    assert (paths.claude / "CLAUDE.md").read_text().strip() in request.text
    lock = read_lock(paths)
    assert lock is not None
    assert differences(paths, lock) == []
    given = {*injected.agents, *injected.skills}
    for item in read_catalogue(library_folder()).items:
        assert (item.description in request.text) is (item.name in given), item.name

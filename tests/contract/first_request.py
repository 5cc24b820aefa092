"""What Claude tells the model before the first word of an operator, taken apart."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from typing import Any

from core.paths import SessionPaths
from tests.conftest import PINNED
from tmux_bridge.claude.seed import prepare_repository, seed_config
from tmux_bridge.scripted_model import Script, ScriptedModel

KEY = "sk-ant-loopback-00000000000000000000"
DEADLINE_S = 60

AGENTS_HEADING = "Available agent types for the Agent tool:"
SKILLS_HEADING = "The following skills are available for use with the Skill tool:"


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstRequest:
    """The texts of one request body, and what they announce."""

    text: str
    size_bytes: int = 0

    @classmethod
    def of(cls, body: bytes) -> FirstRequest:
        return cls(text=text_of(json.loads(body)), size_bytes=len(body))

    @property
    def agents(self) -> set[str]:
        return self.announced(AGENTS_HEADING)

    @property
    def skills(self) -> set[str]:
        return self.announced(SKILLS_HEADING)

    def announced(self, heading: str) -> set[str]:
        listing = self.text.partition(heading)[2].lstrip("\n").partition("\n\n")[0]
        return set(re.findall(r"^- ([\w:.-]+): ", listing, flags=re.MULTILINE))

    @property
    def instruction_files(self) -> list[str]:
        return re.findall(r"^Contents of (.+?\.md) \(", self.text, flags=re.MULTILINE)


def text_of(body: dict[str, Any]) -> str:
    parts: list[str] = []
    for holder in [*body["messages"], {"content": body.get("system", "")}]:
        content = holder["content"]
        blocks = [{"text": content}] if isinstance(content, str) else content
        parts += [str(block.get("text", "")) for block in blocks]
    return "\n\n".join(parts)


def find_claude() -> str | None:
    """The pinned CLI, or the one on PATH."""
    pinned = PINNED / "claude"
    return str(pinned) if pinned.exists() else shutil.which("claude")


def first_request(claude: str, paths: SessionPaths, *options: str) -> FirstRequest:
    """Start the CLI in the session's folder, say hello, and return what the model was sent."""
    prepare_repository(paths.root)
    seed_config(paths.claude_config, paths.root, api_key=KEY)
    model = ScriptedModel(Script(name="hello"), keeps_bodies=True)
    model.start()
    try:
        done = subprocess.run(
            [claude, "-p", "hello", "--permission-mode", "dontAsk", *options], cwd=paths.root,
            env=_environment(paths, model.url), stdin=subprocess.DEVNULL, capture_output=True,
            text=True, check=False, timeout=DEADLINE_S,
        )  # fmt: skip
    finally:
        model.stop()
    assert done.returncode == 0, done.stderr
    first = next(one for one in model.requests if one.kind == "main")
    return FirstRequest.of(model.bodies[first.number])


def _environment(paths: SessionPaths, url: str) -> dict[str, str]:
    return {
        "HOME": str(paths.claude_config),
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "TERM": "dumb",
        "LANG": "C.UTF-8",
        "CLAUDE_CONFIG_DIR": str(paths.claude_config),
        "ANTHROPIC_API_KEY": KEY,
        "ANTHROPIC_BASE_URL": url,
        "DISABLE_TELEMETRY": "1",
        "DISABLE_AUTOUPDATER": "1",
        "DISABLE_ERROR_REPORTING": "1",
        "DISABLE_BUG_COMMAND": "1",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "CLAUDE_CODE_MAX_RETRIES": "1",
    }

"""A place with a clock that is set by hand, and a Claude's files as the CLI writes them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from core.clock import to_text
from core.config import Settings, load_settings
from core.models.session import Agent, SessionKey
from core.models.states import AgentState
from core.paths import SessionPaths
from tests.unit.services_place import Place, make_place
from tmux_bridge.agents.accounting import Account, Accountant
from tmux_bridge.claude.usage import STATUS_FILE

NOON = datetime(2026, 1, 12, 12, 0, tzinfo=UTC)
CLAUDE = "0f1df040-5e86-44f7-9987-cd154c344729"
MODEL = "claude-opus-5-5"


@dataclass
class HandClock:
    """Stands still until it is moved."""

    at: datetime = NOON
    seconds: float = 1000.0

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.move(seconds)

    def move(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)
        self.seconds += seconds


def limits(**values: float) -> Settings:
    """Settings with these `limits.*`."""
    flags: Mapping[str, object] = {f"limits.{name}": value for name, value in values.items()}
    return load_settings(flags, {"HOME": "/nowhere"}, Path("/"))


@dataclass
class Books:
    """One session with a transcript, and the accountant that reads it."""

    place: Place
    clock: HandClock
    key: SessionKey
    account: Account = field(init=False)

    def __post_init__(self) -> None:
        self.transcript.parent.mkdir(parents=True, exist_ok=True)
        self.place.store.agents.put(
            Agent(
                key=self.key, state=AgentState.IDLE, claude_session_id=CLAUDE,
                transcript_path=str(self.transcript),
            )
        )  # fmt: skip
        self.open()

    @property
    def paths(self) -> SessionPaths:
        return self.place.root.session(self.key.user_id, self.key.session_id)

    @property
    def transcript(self) -> Path:
        return self.paths.claude_config / "projects" / "x" / f"{CLAUDE}.jsonl"

    @property
    def accountant(self) -> Accountant:
        return Accountant(self.place.store, self.clock)

    def open(self) -> None:
        """As a worker that has just started."""
        self.account = self.accountant.open(self.paths)

    def settle(self) -> None:
        self.accountant.settle(self.account, self.key)

    def prompt(self, prompt_id: str) -> None:
        self.write({"type": "user", "promptId": prompt_id, "message": {"content": "hi"}})

    def message(
        self, message_id: str, *, at: datetime | None = None, model: str = MODEL,
        file: Path | None = None, **usage: Any,
    ) -> None:  # fmt: skip
        counts = {"input_tokens": 0, "output_tokens": 0} | usage
        line = {
            "type": "assistant", "timestamp": to_text(at or self.clock.now()),
            "message": {"id": message_id, "model": model, "content": [], "usage": counts},
        }  # fmt: skip
        self.write(line, file)

    def agent(self, message_id: str, prompt_id: str, **usage: Any) -> None:
        """A sub-agent's only message, in its own file."""
        file = self.transcript.with_suffix("") / "subagents" / "agent-a1.jsonl"
        file.parent.mkdir(parents=True, exist_ok=True)
        head = {"type": "user", "promptId": prompt_id, "isSidechain": True, "message": {}}
        self.write(head, file)
        self.message(message_id, file=file, **usage)

    def write(self, line: Mapping[str, Any], file: Path | None = None) -> None:
        with (file or self.transcript).open("ab") as stream:
            stream.write(json.dumps(line).encode() + b"\n")

    def status(self, usd: object, session_id: str = CLAUDE) -> None:
        """What the CLI's status line says now."""
        said = {"session_id": session_id, "cost": {"total_cost_usd": usd}}
        (self.paths.claude_config / STATUS_FILE).write_text(json.dumps(said))

    @property
    def usd(self) -> float | None:
        usd = self.place.store.usage.of_session(self.key).usd
        return None if usd is None else round(usd, 9)

    def today_usd(self) -> float | None:
        usd = self.place.store.usage.of_session(self.key, self.clock.now().date().isoformat()).usd
        return None if usd is None else round(usd, 9)


def make_books(folder: Path, settings: Settings | None = None) -> Books:
    clock = HandClock()
    place = make_place(folder, clock=clock, settings=settings)
    key = place.session()
    (place.root.session(key.user_id, key.session_id).claude_config).mkdir(
        mode=0o700, parents=True, exist_ok=True
    )
    return Books(place=place, clock=clock, key=key)

"""What a session's models used, read from the CLI's transcripts and its status line.

A pane can write both, so every figure is checked before it counts. Side requests, such as the one
for a title, stand in no transcript: only the status line's total holds them.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import msgspec

from core.cloud.model_prices import usd_of
from core.files import open_beneath, read_regular
from core.models.cost import TokenCounts
from tmux_bridge.claude.tailing import LineTails

STATUS_FILE = "tmux-builder-status.json"
"""Below the session's configuration folder; written by `.claude/hooks/status.sh`."""

STATUS_LIMIT_BYTES = 65_536
MOST_TOKENS = 20_000_000
"""No message of any model has more; a greater figure is refused."""

MOST_USD = 100_000.0
_MOST_AGENTS = 500
_NAME_CHARS = 128
_AGENT = re.compile(r"agent-[0-9A-Za-z_-]{1,80}\.jsonl")


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageUsage:
    """One message as the model reported it. `at` is what the transcript says, or None."""

    message_id: str
    claude_session_id: str
    claude_prompt_id: str | None
    at: datetime | None
    model: str
    tokens: TokenCounts
    usd: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CliTotal:
    """The CLI's own estimate for one of its processes."""

    claude_session_id: str
    usd: float


class _Cache(msgspec.Struct):
    ephemeral_1h_input_tokens: int = 0


class _Usage(msgspec.Struct):
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_creation_input_tokens: int = 0
    cache_creation: _Cache | None = None


class _Message(msgspec.Struct):
    id: str = ""
    model: str = ""
    usage: _Usage | None = None


class _Line(msgspec.Struct, rename="camel"):
    type: str = ""
    prompt_id: str | None = None
    timestamp: datetime | None = None
    message: _Message | None = None


class _Cost(msgspec.Struct):
    total_cost_usd: float


class _Status(msgspec.Struct):
    session_id: str
    cost: _Cost


class _Bill:
    """The messages of one transcript that were not handed on yet, newest figures of each."""

    def __init__(self) -> None:
        self._prompt_id: str | None = None
        self._new: dict[str, MessageUsage] = {}

    def add(self, line: bytes) -> None:
        """Take one line; what is not understood, or not plausible, adds nothing."""
        if b'"assistant"' not in line and b'"promptId"' not in line:
            return
        try:
            entry = msgspec.json.decode(line, type=_Line)
        except ValueError:
            return
        if entry.type == "user" and entry.prompt_id:
            self._prompt_id = entry.prompt_id[:_NAME_CHARS]
        message = entry.message
        if entry.type != "assistant" or message is None or message.usage is None:
            return
        tokens = _tokens(message.usage)
        if tokens is not None and 0 < len(message.id) <= _NAME_CHARS:
            self._new[message.id] = self._usage(entry, message, message.usage, tokens)

    def take(self, claude_session_id: str) -> list[MessageUsage]:
        """What is new, under the id of its conversation."""
        found = [replace(one, claude_session_id=claude_session_id) for one in self._new.values()]
        self._new.clear()
        return found

    def _usage(
        self, entry: _Line, message: _Message, usage: _Usage, tokens: TokenCounts
    ) -> MessageUsage:
        hour_writes = usage.cache_creation.ephemeral_1h_input_tokens if usage.cache_creation else 0
        model = message.model[:_NAME_CHARS]
        at = entry.timestamp
        return MessageUsage(
            message_id=message.id, claude_session_id="", claude_prompt_id=self._prompt_id,
            at=at if at is not None and at.tzinfo is not None else None, model=model,
            tokens=tokens, usd=usd_of(model, tokens, hour_writes=max(0, hour_writes)),
        )  # fmt: skip


class UsageReader:
    """Reads one session's transcripts, those of its sub-agents too, and its status line.

    Args:
        config: The session's configuration folder of the CLI: nothing outside is opened.
    """

    def __init__(self, config: Path) -> None:
        self._config = config
        self._tails = LineTails(config, _Bill)

    def new(self, transcripts: Sequence[Path]) -> list[MessageUsage]:
        """Messages that were written since the last call, or whose figures have grown."""
        found: list[MessageUsage] = []
        for transcript in transcripts:
            for path in (transcript, *self._agents(transcript)):
                found += self._tails.follow(path).take(transcript.stem)
        return found

    def total(self) -> CliTotal | None:
        """What the status line said last; None where it says nothing that can be."""
        content = read_regular(self._config, STATUS_FILE, limit=STATUS_LIMIT_BYTES)
        if content is None:
            return None
        try:
            status = msgspec.json.decode(content, type=_Status)
        except ValueError:
            return None
        usd = status.cost.total_cost_usd
        if not math.isfinite(usd) or not 0 <= usd <= MOST_USD:
            return None
        return CliTotal(claude_session_id=status.session_id[:_NAME_CHARS], usd=usd)

    def _agents(self, transcript: Path) -> Iterator[Path]:
        """`<conversation>/subagents/agent-*.jsonl` beside a transcript."""
        folder = transcript.with_suffix("") / "subagents"
        with suppress(OSError, ValueError):
            handle = open_beneath(self._config, str(folder.relative_to(self._config)))
            try:
                with os.scandir(handle) as entries:
                    names = [one.name for one, _ in zip(entries, range(_MOST_AGENTS), strict=False)]
            finally:
                os.close(handle)
            yield from (folder / name for name in sorted(names) if _AGENT.fullmatch(name))


def _tokens(usage: _Usage) -> TokenCounts | None:
    """The counts, unless one of them cannot be."""
    counts = (
        usage.input_tokens, usage.output_tokens,
        usage.cache_read_input_tokens, usage.cache_creation_input_tokens,
    )  # fmt: skip
    if not all(0 <= count <= MOST_TOKENS for count in counts):
        return None
    read, written = usage.cache_read_input_tokens, usage.cache_creation_input_tokens
    return TokenCounts(
        input_tokens=usage.input_tokens, output_tokens=usage.output_tokens,
        cache_read_tokens=read, cache_write_tokens=written,
    )  # fmt: skip

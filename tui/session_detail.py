"""One session as the panels show it: chat with receipts, and the newest run."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec

from core.models.approval import Approval
from core.models.cost import SessionCost
from core.models.execution import Execution, StepRecord
from core.models.prompt import Prompt
from core.models.session import SessionKey
from core.models.states import ExecutionStatus, PromptKind, Receipt, StepState
from core.models.transcript import ChatItem, Speaker

logger = logging.getLogger(__name__)


class Files(msgspec.Struct, frozen=True):
    """What a deploy sent."""

    total: int | None = None
    changed: int | None = None
    bytes: int | None = None


class Check(msgspec.Struct, frozen=True):
    """The health check's figures."""

    status: int | None = None
    type: str | None = None
    bytes: int | None = None
    ms: float | None = None
    tries: int | None = None


class Tests(msgspec.Struct, frozen=True):
    """The end-to-end tests' figures."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0


class Shots(msgspec.Struct, frozen=True):
    """Pictures, relative to the session's folder."""

    full: str | None = None
    thumb: str | None = None


class RunResult(msgspec.Struct, frozen=True):
    """What a run has reached."""

    url: str | None = None
    deployed_url: str | None = None
    deploy: int | None = None
    files: Files | None = None
    check: Check | None = None
    tests: Tests | None = None
    shots: Shots | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The newest run with its seven steps."""

    execution: Execution
    steps: tuple[StepRecord, ...]
    result: RunResult | None
    running_ms: int = 0
    """How long the running step had been at work when this was read."""

    @property
    def status(self) -> ExecutionStatus:
        return self.execution.status


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatEntry:
    """One entry of the chat; `prompt` is there for what was sent from here."""

    item: ChatItem
    prompt: Prompt | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionDetail:
    """Everything about the shown session, read in one go."""

    key: SessionKey
    chat: tuple[ChatEntry, ...]
    run: Run | None
    approvals: tuple[Approval, ...] = ()
    """What Claude asks permission for, oldest first."""
    change: int = 0
    """The session's change counter when this was read: a row with a greater one is newer."""
    cost: SessionCost = field(default_factory=SessionCost)
    loaded_at: float = 0.0
    """Monotonic seconds: the running step's timer counts on from here."""

    @property
    def sent_texts(self) -> list[str]:
        """What was sent before, oldest first, for the message box's history."""
        return [
            entry.prompt.text
            for entry in self.chat
            if entry.prompt is not None and entry.prompt.kind is not PromptKind.BRIEF
        ]


def make_run(execution: Execution, steps: Sequence[StepRecord], now: datetime) -> Run:
    """The run as it is shown; a result that cannot be read is logged and left out."""
    started = [step.started_at for step in steps if step.state is StepState.RUNNING]
    at_work = now - started[0] if started and started[0] is not None else timedelta()
    result = None
    if execution.result:
        try:
            result = msgspec.convert(dict(execution.result), RunResult, strict=False)
        except msgspec.ValidationError as error:
            facts = {"execution_id": execution.execution_id, "reason": str(error)}
            logger.warning("result of a run not shown", extra=facts)
    return Run(
        execution=execution,
        steps=tuple(steps),
        result=result,
        running_ms=max(0, int(at_work.total_seconds() * 1000)),
    )


def weave(items: Sequence[ChatItem], prompts: Sequence[Prompt]) -> tuple[ChatEntry, ...]:
    """Transcript and receipts as one chat.

    A prompt that the transcript shows stands there with its receipt; one that it does not show
    stands at its time, and one that is still on its way at the end.
    """
    waiting = sorted(prompts, key=lambda prompt: prompt.seq)
    entries: list[ChatEntry] = []
    for item in items:
        prompt = _take(waiting, item) if item.speaker is Speaker.OPERATOR else None
        entries.append(ChatEntry(item=item, prompt=prompt))
    for prompt in waiting:
        entry = ChatEntry(item=_item_of(prompt), prompt=prompt)
        entries.insert(_place(entries, prompt), entry)
    return tuple(entries)


def _take(waiting: list[Prompt], item: ChatItem) -> Prompt | None:
    said = " ".join(item.text.split())
    for prompt in waiting:
        sent = " ".join(prompt.text.split())
        by_file = len(sent) > 10_000 and "prompts/" in said
        if prompt.receipt is not Receipt.REFUSED and (said == sent or by_file):
            waiting.remove(prompt)
            return prompt
    return None


def _place(entries: Sequence[ChatEntry], prompt: Prompt) -> int:
    if not prompt.receipt.is_final:
        return len(entries)
    for number, entry in enumerate(entries):
        if entry.item.at is not None and entry.item.at > prompt.created_at:
            return number
    return len(entries)


def _item_of(prompt: Prompt) -> ChatItem:
    return ChatItem(
        item_id=f"prompt-{prompt.prompt_id}",
        at=prompt.created_at,
        speaker=Speaker.OPERATOR,
        text=prompt.text,
    )

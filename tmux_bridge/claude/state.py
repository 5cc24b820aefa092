"""What a session's Claude does, fused from every signal there is. Pure: evidence in, state out.

Hooks are events and come first. The CLI's registry is a level: where it disagrees for longer than
`DISAGREEMENT_S` it wins, because Escape and a killed process fire no hook. The pane says whether
there is a process at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from core.models.session import Agent
from core.models.states import AgentState, Needs, TurnOutcome
from tmux_bridge.claude.hooks import QUESTION_TOOL, HookEvent, HookName
from tmux_bridge.claude.registry import RegistryEntry, RegistryStatus

DISAGREEMENT_S = 2.0
SETTLED_S = 0.5
"""A level that an event or the transcript confirms has to hold this long."""

FIRST_RUN_S = 15.0
"""Without a SessionStart after this long, something on the screen waits for a person."""

_LOGIN_FAILURE = "authentication_failed"
_QUIET = frozenset({AgentState.ABSENT, AgentState.PARKED, AgentState.ENDED})


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptTail:
    """What the end of the transcript says about the newest turn."""

    is_interrupted: bool = False
    is_finished: bool = False
    message: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One look at everything.

    Attributes:
        events: Hook events since the last look, oldest first.
        registry: The CLI's own word; None where there is no trustworthy entry.
        pane_alive: Whether the pane's process lives; None when tmux could not be asked.
        gone: How it ended, where `pane_alive` is False.
        prompt_drawn: Whether the composer was seen on the screen; only asked while starting.
        screen: The screen's last words, shown when a start is stuck.
        tail: The transcript's end; read it when `Watch.wants_tail` says so.
        now: The instant of the look, for `since`.
        monotonic_s: The same, for durations.
    """

    now: datetime
    monotonic_s: float
    events: Sequence[HookEvent] = ()
    registry: RegistryEntry | None = None
    pane_alive: bool | None = True
    gone: str = "the process is gone"
    prompt_drawn: bool = False
    screen: str = ""
    tail: TranscriptTail | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnStarted:
    """Claude took a prompt. `name` orders it among the hook events."""

    at: datetime
    name: str
    prompt: str
    claude_prompt_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnEnded:
    """Every open turn of the session is over. `message` is Claude's last words or the reason."""

    at: datetime
    outcome: TurnOutcome
    message: str | None
    claude_prompt_id: str | None = None


TurnFact = TurnStarted | TurnEnded


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """What is remembered between two looks.

    Attributes:
        turn_open: A prompt was taken and its end is not known. After a restart of the worker it
            is what the store says.
        turn_prompt_id: The CLI's id of that prompt.
        starting_since_s: Monotonic second of the first look at a starting process.
        disagrees_since_s: Monotonic second since when the registry has another opinion, or, in a
            start, since when it says idle.
        started: A SessionStart was seen since the process began.
        answered: The hook has handed an answer on since the question was asked.
    """

    agent: Agent
    turn_open: bool = False
    turn_prompt_id: str | None = None
    starting_since_s: float | None = None
    disagrees_since_s: float | None = None
    started: bool = False
    answered: bool = False

    @property
    def wants_tail(self) -> bool:
        """The registry disagrees with an open turn: the transcript may say why."""
        return self.turn_open and self.disagrees_since_s is not None


def fuse(watch: Watch, evidence: Evidence) -> tuple[Watch, list[TurnFact]]:
    """The state after one look, and the turns that began or ended in it."""
    facts: list[TurnFact] = []
    for event in evidence.events:
        watch = _apply_event(watch, event, facts)
    if evidence.pane_alive is False:
        return _process_gone(watch, evidence, facts), facts
    if watch.agent.state is AgentState.STARTING:
        return _starting(watch, evidence), facts
    if evidence.registry is not None and watch.agent.state not in _QUIET:
        watch = _apply_registry(watch, evidence.registry, evidence, facts)
    return watch, facts


def starting(agent: Agent, evidence: str, now: datetime) -> Watch:
    """The watch of a process that was started just now."""
    begun = replace(
        agent, state=AgentState.STARTING, needs=None, question=None, source="pane",
        evidence=evidence, since=now,
    )  # fmt: skip
    return Watch(agent=begun)


def waits_at_first_screen(agent: Agent) -> bool:
    """Whether it shows a question of its own instead of starting: trust, theme, licence."""
    return agent.needs is Needs.LOGIN and agent.source == "pane"


def _apply_event(watch: Watch, event: HookEvent, facts: list[TurnFact]) -> Watch:
    handler = _HANDLERS.get(event.event)
    return watch if handler is None else handler(watch, event, facts)


def _on_start(watch: Watch, event: HookEvent, facts: list[TurnFact]) -> Watch:
    agent = replace(
        watch.agent,
        claude_session_id=event.session_id,
        transcript_path=_own_transcript(watch.agent, event) or watch.agent.transcript_path,
    )
    watch = replace(watch, agent=agent, started=True)
    if event.source == "compact" or agent.state in _QUIET:
        return watch
    if agent.state in {AgentState.STARTING, AgentState.NEEDS_YOU}:
        return _turn_to(watch, AgentState.STARTING, "hook", "SessionStart", event.at)
    ended = TurnEnded(
        at=event.at, outcome=TurnOutcome.INTERRUPTED, message="The conversation was changed."
    )
    watch = _close_turn(watch, event.at, ended, facts)
    return _turn_to(watch, AgentState.IDLE, "hook", f"SessionStart ({event.source})", event.at)


def _own_transcript(agent: Agent, event: HookEvent) -> str | None:
    """The path of the event, unless a forged event names another session's chat."""
    own = f"/{agent.key.user_id}/claude/{agent.key.session_id}/projects/"
    path = event.transcript_path or ""
    return path if own in path and ".." not in path else None


def _on_end(watch: Watch, event: HookEvent, facts: list[TurnFact]) -> Watch:
    if event.source in {"clear", "resume"} or watch.agent.state in _QUIET:
        return watch
    if event.session_id != (watch.agent.claude_session_id or event.session_id):
        return watch
    if watch.agent.state is AgentState.STARTING and not watch.started:
        # The last word of the process before, which had the same id; the pane tells of this one's.
        return watch
    watch = _close_turn(watch, event.at, _ended(event.at, "Claude ended during the turn."), facts)
    return _turn_to(watch, AgentState.ENDED, "hook", f"SessionEnd ({event.source})", event.at)


def _on_prompt(watch: Watch, event: HookEvent, facts: list[TurnFact]) -> Watch:
    if not event.is_synthetic:
        started = TurnStarted(
            at=event.at, name=event.name, prompt=event.prompt or "",
            claude_prompt_id=event.prompt_id,
        )  # fmt: skip
        facts.append(started)
        watch = replace(watch, turn_open=True, turn_prompt_id=event.prompt_id)
    return _turn_to(watch, AgentState.WORKING, "hook", "UserPromptSubmit", event.at)


def _on_permission(watch: Watch, event: HookEvent, _facts: list[TurnFact]) -> Watch:
    asks = event.tool_name == QUESTION_TOOL
    watch = _turn_to(
        watch, AgentState.NEEDS_YOU, "hook", f"PermissionRequest {event.tool_name}", event.at
    )
    needs = Needs.QUESTION if asks else Needs.PERMISSION
    return replace(watch, agent=replace(watch.agent, needs=needs, question=event.question))


def _on_taken(watch: Watch, _event: HookEvent, _facts: list[TurnFact]) -> Watch:
    """Believed together with the registry only: another question may be open beside this one.

    An answer that comes before the dialog is drawn leaves no trace in the registry.
    """
    return replace(watch, answered=watch.agent.state is AgentState.NEEDS_YOU)


def _on_tool_done(watch: Watch, event: HookEvent, _facts: list[TurnFact]) -> Watch:
    if watch.agent.state is not AgentState.NEEDS_YOU:
        return watch
    return _turn_to(watch, AgentState.WORKING, "hook", "PostToolUse", event.at)


def _on_stop(watch: Watch, event: HookEvent, facts: list[TurnFact]) -> Watch:
    if event.background_tasks:
        why = f"Stop, {event.background_tasks} in the background"
        return _turn_to(watch, AgentState.WORKING, "hook", why, event.at)
    ended = TurnEnded(at=event.at, outcome=TurnOutcome.FINISHED, message=event.message)
    watch = _close_turn(watch, event.at, ended, facts)
    return _turn_to(watch, AgentState.IDLE, "hook", "Stop", event.at)


def _on_failure(watch: Watch, event: HookEvent, facts: list[TurnFact]) -> Watch:
    reason = event.error or "unknown"
    message = f"{reason}: {event.message}" if event.message else reason
    ended = TurnEnded(at=event.at, outcome=TurnOutcome.FAILED, message=message)
    watch = _close_turn(watch, event.at, ended, facts)
    if reason != _LOGIN_FAILURE:
        return _turn_to(watch, AgentState.IDLE, "hook", f"StopFailure {reason}", event.at)
    watch = _turn_to(watch, AgentState.NEEDS_YOU, "hook", f"StopFailure {reason}", event.at)
    question = "Claude is not logged in or its key is not valid."
    return replace(watch, agent=replace(watch.agent, needs=Needs.LOGIN, question=question))


_HANDLERS: Mapping[str, Callable[[Watch, HookEvent, list[TurnFact]], Watch]] = {
    HookName.SESSION_START: _on_start,
    HookName.SESSION_END: _on_end,
    HookName.PROMPT: _on_prompt,
    HookName.PERMISSION: _on_permission,
    HookName.TAKEN: _on_taken,
    HookName.TOOL_DONE: _on_tool_done,
    HookName.STOP: _on_stop,
    HookName.STOP_FAILURE: _on_failure,
}


def _starting(watch: Watch, evidence: Evidence) -> Watch:
    """Ready is the composer drawn after a SessionStart, or the registry's idle for a while.

    The registry says idle some moments before the composer takes an Enter.
    """
    if watch.started and evidence.prompt_drawn:
        return _ready(watch, "pane", "the composer is drawn", evidence)
    entry = evidence.registry
    if entry is not None and entry.status is RegistryStatus.IDLE:
        since = watch.disagrees_since_s
        since = evidence.monotonic_s if since is None else since
        needed_s = SETTLED_S if watch.started else DISAGREEMENT_S
        if evidence.monotonic_s - since >= needed_s:
            return _ready(watch, "registry", "idle after the start", evidence)
        return replace(watch, disagrees_since_s=since)
    return _perhaps_stuck(watch, evidence)


def _ready(watch: Watch, source: str, why: str, evidence: Evidence) -> Watch:
    if evidence.registry is not None and watch.agent.claude_session_id is None:
        agent = replace(watch.agent, claude_session_id=evidence.registry.session_id)
        watch = replace(watch, agent=agent)
    watch = replace(watch, starting_since_s=None)
    return _turn_to(watch, AgentState.IDLE, source, why, evidence.now)


def _perhaps_stuck(watch: Watch, evidence: Evidence) -> Watch:
    since = evidence.monotonic_s if watch.starting_since_s is None else watch.starting_since_s
    watch = replace(watch, starting_since_s=since)
    if watch.started or evidence.registry or evidence.monotonic_s - since < FIRST_RUN_S:
        return watch
    watch = _turn_to(watch, AgentState.NEEDS_YOU, "pane", "no SessionStart", evidence.now)
    question = evidence.screen or "Claude waits at its first screen; attach to answer it."
    return replace(watch, agent=replace(watch.agent, needs=Needs.LOGIN, question=question))


def _process_gone(watch: Watch, evidence: Evidence, facts: list[TurnFact]) -> Watch:
    if watch.agent.state in _QUIET:
        return watch
    ended = _ended(evidence.now, f"Claude ended during the turn: {evidence.gone}.")
    watch = _close_turn(watch, evidence.now, ended, facts)
    return _turn_to(watch, AgentState.ENDED, "pane", evidence.gone, evidence.now)


def _apply_registry(
    watch: Watch, entry: RegistryEntry, evidence: Evidence, facts: list[TurnFact]
) -> Watch:
    if _agrees(watch.agent, entry):
        return replace(watch, disagrees_since_s=None)
    since = watch.disagrees_since_s
    since = evidence.monotonic_s if since is None else since
    watch = replace(watch, disagrees_since_s=since)
    for_s = evidence.monotonic_s - since
    certain = evidence.tail is not None and evidence.tail.is_interrupted and watch.turn_open
    certain = certain and entry.status is RegistryStatus.IDLE and for_s >= SETTLED_S
    if for_s < DISAGREEMENT_S and not certain and not _answered(watch, entry):
        return watch
    return _believe(watch, entry, evidence, facts, for_s)


def _agrees(agent: Agent, entry: RegistryEntry) -> bool:
    if agent.needs is Needs.LOGIN:
        return entry.status is not RegistryStatus.BUSY
    return {
        RegistryStatus.IDLE: AgentState.IDLE,
        RegistryStatus.BUSY: AgentState.WORKING,
        RegistryStatus.WAITING: AgentState.NEEDS_YOU,
    }[entry.status] is agent.state


def _answered(watch: Watch, entry: RegistryEntry) -> bool:
    """Busy since after the question was asked: somebody answered it."""
    agent = watch.agent
    asked = agent.state is AgentState.NEEDS_YOU and agent.since is not None
    later = agent.since is not None and entry.since > agent.since
    return asked and (later or watch.answered) and entry.status is RegistryStatus.BUSY


def _believe(
    watch: Watch, entry: RegistryEntry, evidence: Evidence, facts: list[TurnFact], for_s: float
) -> Watch:
    if entry.status is RegistryStatus.IDLE:
        return _to_idle(watch, evidence, facts, for_s)
    if entry.status is RegistryStatus.BUSY:
        return _turn_to(watch, AgentState.WORKING, "registry", "busy", evidence.now)
    why = f"waiting ({entry.waiting_for})"
    watch = _turn_to(watch, AgentState.NEEDS_YOU, "registry", why, evidence.now)
    needs = Needs.QUESTION if entry.is_question else Needs.PERMISSION
    return replace(watch, agent=replace(watch.agent, needs=needs))


def _to_idle(watch: Watch, evidence: Evidence, facts: list[TurnFact], for_s: float) -> Watch:
    """No Stop came: an Escape, unless the transcript shows that the turn was finished."""
    tail = evidence.tail or TranscriptTail()
    finished = tail.is_finished and not tail.is_interrupted
    outcome = TurnOutcome.FINISHED if finished else TurnOutcome.INTERRUPTED
    message = tail.message if finished else "The turn was interrupted."
    ended = TurnEnded(at=evidence.now, outcome=outcome, message=message)
    watch = _close_turn(watch, evidence.now, ended, facts)
    source = "transcript" if tail.is_interrupted or finished else "registry"
    why = f"{outcome}: idle for {for_s:.1f} s without a Stop event"
    return _turn_to(watch, AgentState.IDLE, source, why, evidence.now)


def _ended(at: datetime, message: str) -> TurnEnded:
    return TurnEnded(at=at, outcome=TurnOutcome.FAILED, message=message)


def _close_turn(watch: Watch, at: datetime, ended: TurnEnded, facts: list[TurnFact]) -> Watch:
    if not watch.turn_open:
        return watch
    facts.append(replace(ended, at=at, claude_prompt_id=watch.turn_prompt_id))
    return replace(watch, turn_open=False, turn_prompt_id=None)


def _turn_to(watch: Watch, state: AgentState, source: str, why: str, at: datetime) -> Watch:
    """The agent in that state; `since` moves only when the state does."""
    same = watch.agent.state is state and watch.agent.since is not None
    agent = replace(
        watch.agent, state=state, needs=None, question=None, source=source, evidence=why,
        since=watch.agent.since if same else at,
    )  # fmt: skip
    return replace(watch, agent=agent, disagrees_since_s=None, answered=False)

"""What the operator looks at right now: all that decides whether an action is possible."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.models.states import AgentState, SessionState

if TYPE_CHECKING:
    from core.models.overview import SessionRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """A snapshot made whenever a key is pressed or the footer is drawn."""

    row: SessionRow | None = None
    user_id: str | None = None
    has_pane_view: bool = False
    has_attach: bool = False
    has_demo: bool = False
    waiting: int = 0
    """Sessions that need the operator."""
    has_rule: bool = False
    """What Claude asks can be allowed for the session: a rule would cover exactly it."""


def needs_session(now: Situation) -> str | None:
    return None if now.row else "no session is selected; j and k choose one, N makes one"


def needs_user(now: Situation) -> str | None:
    return None if now.user_id else "no user is selected; n makes one"


def needs_claude(now: Situation) -> str | None:
    if now.row is None:
        return needs_session(now)
    if now.row.agent.state in {AgentState.ABSENT, AgentState.ENDED, AgentState.PARKED}:
        return "Claude is not running in this session; the next message starts it"
    return None


def needs_turn(now: Situation) -> str | None:
    if now.row is None:
        return needs_session(now)
    if now.row.agent.state is not AgentState.WORKING:
        return "Claude is not working in this session"
    return None


def needs_quiet(now: Situation) -> str | None:
    if now.row is None:
        return needs_session(now)
    execution = now.row.execution
    if execution is not None and not execution.status.is_over:
        return "a run of this session is under way; C cancels it"
    return None


def needs_run(now: Situation) -> str | None:
    if now.row is None:
        return needs_session(now)
    execution = now.row.execution
    if execution is None or execution.status.is_over:
        return "no run of this session is under way"
    return None


def needs_failed_run(now: Situation) -> str | None:
    if now.row is None:
        return needs_session(now)
    if now.row.state is not SessionState.FAILED or now.row.execution is None:
        return "the last run did not fail"
    return None


def needs_url(now: Situation) -> str | None:
    if now.row is None:
        return needs_session(now)
    return None if now.row.session.url else "nothing is deployed yet; d deploys"


def needs_earlier_deploy(now: Situation) -> str | None:
    if now.row is None:
        return needs_session(now)
    if now.row.session.deploy_count < 2:
        return "there is no earlier deploy to go back to"
    return needs_quiet(now)


def needs_log(now: Situation) -> str | None:
    if now.row is None:
        return needs_session(now)
    return None if now.row.execution else "no run of this session has started yet"


def needs_pane_view(now: Situation) -> str | None:
    if not now.has_pane_view:
        return "tmux was not found, so there is no pane to show; see the doctor (:doctor)"
    return needs_session(now)


def needs_attach(now: Situation) -> str | None:
    if not now.has_attach:
        return "this terminal cannot attach; tmux-builder session attach --print-command can"
    return needs_session(now)


def needs_waiting(now: Situation) -> str | None:
    return None if now.waiting else "no session needs you"


def needs_rule(now: Situation) -> str | None:
    return None if now.has_rule else "this call can only be allowed once"


def needs_demo(now: Situation) -> str | None:
    return None if now.has_demo else "the demo is not available here"

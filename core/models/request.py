"""An act that a front end or a pane asks the worker for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from core.models.execution import Json
from core.models.session import SessionKey


class RequestKind(StrEnum):
    """What the worker can be asked for; prompts and executions have rows of their own."""

    START = "start"
    """Wake the session's Claude (start or resume); used by attach."""
    INTERRUPT = "interrupt"
    """Escape: end Claude's turn."""
    STOP = "stop"
    """End the Claude process; files stay."""
    ANSWER = "answer"
    """payload: {"digit": n}: answer Claude's own question by its number."""
    DECIDE = "decide"
    """payload: {"approval_id","decision": allow|allow_session|deny,"message": str|None}"""
    CHECK = "check"
    """payload: {"url": str|None, "retries": int|None, "min_bytes": int|None}"""
    SCREENSHOT = "screenshot"
    """payload: {"width": int|None, "full_page": bool}"""
    TEST = "test"
    """payload: {"grep": str|None, "list": bool}"""
    DESTROY = "destroy"
    """Delete what the session has on its host; taken up again after a worker's death."""
    SERVE = "serve"
    """Make sure that the local host serves what is deployed; answers {"url","port"}."""
    DRIFT = "drift"
    """Answers {"drift": [{"kind","id","what","expected","found"}]}."""
    APP_LOG = "app_log"
    """payload: {"lines": int}; answers {"text"}."""
    VARIABLES = "variables"
    """Answers {"names"}; values are never shown."""
    SET_VARIABLE = "set_variable"
    """payload: {"name": str, "value_file": str}: the value itself never stands in a row."""
    UNSET_VARIABLE = "unset_variable"
    """payload: {"name": str}"""


RESUMABLE = frozenset({RequestKind.DESTROY, RequestKind.DECIDE})
"""What may be begun again after a worker died in the middle of it: it ends in the same state."""


class RequestState(StrEnum):
    """Where a request stands."""

    QUEUED = "queued"
    TAKEN = "taken"
    DONE = "done"
    FAILED = "failed"

    @property
    def is_over(self) -> bool:
        return self in {RequestState.DONE, RequestState.FAILED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One act. `result` is the answer; `error` the three parts of a `BuilderError`."""

    request_id: str
    kind: RequestKind
    key: SessionKey
    payload: Mapping[str, Json]
    state: RequestState
    created_at: datetime
    result: Mapping[str, Json] | None = None
    error_code: str | None = None
    error_exit: int | None = None
    error_message: str | None = None
    error_remedy: str | None = None

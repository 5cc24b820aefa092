"""The JSON documents that views, command line and API share: pure functions of values.

Keys are always present, null when unknown; instants are RFC 3339 in UTC, durations in ms, paths
relative to the session's folder.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from core.clock import to_text
from core.errors import BuilderError, ExitCode
from core.models.cost import SessionCost, Spending
from core.models.execution import (
    STEPS,
    TOTAL_STEPS,
    Execution,
    Json,
    LogEntry,
    LogLevel,
    StepRecord,
)
from core.models.overview import RunStep, SessionRow, UserRow
from core.models.release import Plan
from core.models.session import Session
from core.models.states import ExecutionStatus
from core.models.user import HostProvider, SiteType, User

Document = dict[str, Json]

_DESCRIPTIONS = {step.n: step.description for step in STEPS}
_OUTCOMES: Mapping[str, tuple[str, ...]] = {
    "files": ("total", "changed", "bytes"),
    "check": ("status", "type", "bytes", "ms", "tries"),
    "tests": ("passed", "failed", "skipped"),
    "shots": ("full", "thumb"),
    "timings": ("publish_ms", "cdn_ms"),
}
_BLOCKS: Mapping[tuple[HostProvider, SiteType], Mapping[str, Json]] = {
    (HostProvider.AWS, SiteType.STATIC): {
        "bucket": None, "distribution_id": None, "region": "us-east-1",
    },
    (HostProvider.AWS, SiteType.DYNAMIC): {
        "instance_id": None, "public_ip": None, "region": "us-east-1", "instance_type": None,
    },
    (HostProvider.AZURE, SiteType.STATIC): {
        "storage_account": None, "cdn_endpoint": None, "resource_group": None,
    },
    (HostProvider.AZURE, SiteType.DYNAMIC): {
        "vm_name": None, "public_ip": None, "resource_group": None, "vm_size": None,
    },
    (HostProvider.LOCAL, SiteType.STATIC): {"port": None},
    (HostProvider.LOCAL, SiteType.DYNAMIC): {"port": None},
}  # fmt: skip


def execution_document(
    execution: Execution, steps: Sequence[StepRecord], logs: Iterable[LogEntry],
    cost: SessionCost | None = None,
) -> Document:  # fmt: skip
    """The execution document: `data` of `status`.

    Args:
        cost: The session's figures now; without them its result has none.
    """
    return {
        "execution_id": execution.execution_id,
        "user_id": execution.key.user_id,
        "session_id": execution.key.session_id,
        "status": str(execution.status),
        "current_step": execution.current_step,
        "total_steps": TOTAL_STEPS,
        "created_at": to_text(execution.created_at),
        "updated_at": to_text(execution.updated_at),
        "steps": _steps(execution, steps),
        "logs": [log_document(entry) for entry in logs],
        "result": _result(execution, cost),
        "error": execution.error,
    }


def deploy_document(
    execution: Execution, steps: Sequence[StepRecord], session: Session,
    cost: SessionCost | None = None,
) -> Document:  # fmt: skip
    """`data` of `deploy`, `rollback` and `demo`, also of one that failed.

    `state` is the run's status; `url` is where the site answers, also when this run failed.
    """
    result = execution.result
    return {
        "execution_id": execution.execution_id,
        "user_id": execution.key.user_id,
        "session_id": execution.key.session_id,
        "deploy": result.get("deploy"),
        "url": result.get("url") or session.url,
        "host_provider": str(session.host_provider),
        "site_type": str(session.site_type),
        "state": str(execution.status),
        "steps": _steps(execution, steps),
        **_outcomes(execution, cost),
    }


def step_document(execution: Execution, step: StepRecord) -> Document:
    """One of the seven rows."""
    log = None
    if step.log_line is not None:
        log = f"logs/run-{execution.run:03d}.jsonl#L{step.log_line}"
    return {
        "n": step.n,
        "name": step.name,
        "description": _DESCRIPTIONS[step.n],
        "state": str(step.state),
        "started_at": _instant(step.started_at),
        "ms": step.ms,
        "tries": step.tries,
        "detail": step.detail,
        "log": log,
    }


def log_document(entry: LogEntry) -> Document:
    """One line of a run's log."""
    return {
        "timestamp": to_text(entry.timestamp),
        "level": str(entry.level),
        "message": entry.message,
        "step": entry.step,
        "step_name": entry.step_name,
        "details": dict(entry.details),
        "trace_id": entry.trace_id,
    }


def shown_logs(logs: Iterable[LogEntry], *, verbose: bool) -> list[LogEntry]:
    """Without DEBUG, unless it was asked for."""
    return [entry for entry in logs if verbose or entry.level is not LogLevel.DEBUG]


def session_document(row: SessionRow) -> Document:
    """One session as `session list` gives it."""
    session = row.session
    return {
        "session_id": session.key.session_id,
        "user_id": session.key.user_id,
        "email": row.email,
        "host_provider": str(session.host_provider),
        "site_type": str(session.site_type),
        "state": str(row.state),
        "mode": str(session.mode),
        "needs": None if row.needs is None else str(row.needs),
        "step": _run_step(row.step),
        "url": session.url,
        "created_at": to_text(session.created_at),
        "updated_at": to_text(session.updated_at),
        "cost": cost_document(row.cost),
        "tmux": {
            "socket": row.tmux_socket,
            "session": session.key.tmux_name,
            "pane": row.agent.pane_id,
        },
        "path": row.path,
        "why": row.why,
        "simulated": session.simulated,
        "archived": session.archived,
    }


def cost_document(cost: SessionCost) -> Document:
    """What a session cost: Claude today and in all, and its cloud resources in a day."""
    return {
        "today_usd": _usd(cost.today.usd),
        "total_usd": _usd(cost.total.usd),
        "cloud_usd_day": cost.cloud_usd_day,
        "complete": cost.total.is_complete,
        "estimated": True,
    }


def spending_document(spent: Spending) -> Document:
    """Tokens and dollars of some span; `complete` is false where something has no price."""
    return {
        "claude_usd": _usd(spent.usd),
        "input_tokens": spent.tokens.input_tokens,
        "output_tokens": spent.tokens.output_tokens,
        "cache_read_tokens": spent.tokens.cache_read_tokens,
        "cache_write_tokens": spent.tokens.cache_write_tokens,
        "complete": spent.is_complete,
    }


def user_document(user: User) -> Document:
    """What `user.json` holds."""
    return {
        "user_id": user.user_id,
        "email": user.email,
        "phone": user.phone,
        "created_at": to_text(user.created_at),
        "host_provider": str(user.host_provider),
        "site_type": str(user.site_type),
    }


def user_row_document(row: UserRow) -> Document:
    """One user as `user list` and `user show` give it."""
    return {
        "user_id": row.user.user_id,
        "email": row.user.email,
        "phone": row.user.phone,
        "name": row.user.name,
        "host_provider": str(row.user.host_provider),
        "site_type": str(row.user.site_type),
        "sessions": row.sessions,
        "updated_at": to_text(row.updated_at),
        "path": row.path,
    }


def config_document(session: Session, block: Mapping[str, Json]) -> Document:
    """What `deployment/config.json` holds; `block` is what the host recorded about itself."""
    own = {**_BLOCKS[session.host_provider, session.site_type], **block}
    if session.host_provider is HostProvider.LOCAL:
        own["port"] = session.port
    return {
        "host_provider": str(session.host_provider),
        "site_type": str(session.site_type),
        "aws_profile": session.aws_profile,
        "azure_profile": session.azure_profile,
        "url": session.url,
        "created_at": to_text(session.created_at),
        "last_deployed": _instant(session.last_deployed_at),
        "deploy_count": session.deploy_count,
        str(session.host_provider): own,
    }


def plan_document(plan: Plan) -> Document:
    """What a dry run prints."""
    return {
        "plan": [
            {
                "action": action.action,
                "kind": action.kind,
                "id": action.resource_id,
                "tags": dict(action.tags),
                "est_usd_day": action.est_usd_day,
            }
            for action in plan.actions
        ],
        "files": {
            "total": plan.files_total,
            "changed": plan.files_changed,
            "deleted": plan.files_deleted,
            "bytes": plan.size_bytes,
        },
        "warnings": [{"code": "plan", "message": sentence} for sentence in plan.warnings],
    }


def execution_error(execution: Execution) -> Document | None:
    """The envelope's error object of a run that ended badly, None while all is well."""
    if execution.status not in {ExecutionStatus.FAILED, ExecutionStatus.CANCELLED}:
        return None
    was_cancelled = execution.status is ExecutionStatus.CANCELLED
    code = execution.error_code or ("cancelled" if was_cancelled else "failed")
    session_id = execution.key.session_id
    return {
        "code": code,
        "message": execution.error or f"The run {execution.execution_id} was {execution.status}.",
        "fix": execution.error_remedy or f"tmux-builder session logs {session_id} --level error",
        "retryable": was_cancelled or _is_retryable(execution, code),
    }


def execution_warnings(execution: Execution) -> list[Document]:
    """The envelope's warnings that a run collected."""
    found = execution.result.get("warnings")
    rows = found if isinstance(found, list) else []
    return [_warning(row) for row in rows]


def execution_exit(execution: Execution) -> ExitCode:
    """How a verb that followed the run ends."""
    if execution.status is ExecutionStatus.COMPLETED:
        return ExitCode.OK
    if execution.status is ExecutionStatus.CANCELLED:
        return ExitCode.ANSWER_IS_NO
    if execution.status is not ExecutionStatus.FAILED:
        return ExitCode.TIMED_OUT
    if execution.error_exit is not None:
        return ExitCode(execution.error_exit)
    error = error_class(execution.error_code)
    return ExitCode.FAILED if error is None else error.exit_code


def error_class(code: str | None) -> type[BuilderError] | None:
    """The error that carries this code."""
    kinds: list[type[BuilderError]] = [BuilderError]
    while kinds:
        kind = kinds.pop()
        if kind.code == code:
            return kind
        kinds += kind.__subclasses__()
    return None


def _is_retryable(execution: Execution, code: str) -> bool:
    """A failed look may pass next time; wrong input or a missing program does not by itself."""
    kind = error_class(code)
    if kind is not None and kind.retryable:
        return True
    return execution_exit(execution) in {
        ExitCode.FAILED, ExitCode.CONFLICT, ExitCode.ANSWER_IS_NO, ExitCode.TIMED_OUT,
    }  # fmt: skip


def _steps(execution: Execution, steps: Sequence[StepRecord]) -> list[Json]:
    by_number = {step.n: step for step in steps}
    empty = (by_number.get(step.n) or StepRecord(n=step.n, name=step.name) for step in STEPS)
    return [step_document(execution, step) for step in empty]


def _result(execution: Execution, cost: SessionCost | None) -> Json:
    if not execution.result:
        return None
    url = execution.result.get("url") or execution.result.get("deployed_url")
    known: Document = {
        "deployed_url": url,
        "user_id": execution.key.user_id,
        "session_id": execution.key.session_id,
        "deploy": execution.result.get("deploy"),
        "url": url,
        **_outcomes(execution, cost),
    }
    return {**execution.result, **known}


def _run_step(step: RunStep | None) -> Json:
    return None if step is None else {"n": step.n, "name": step.name, "state": str(step.state)}


def _outcomes(execution: Execution, cost: SessionCost | None) -> Document:
    result = execution.result
    outcomes: Document = {key: _part(result.get(key), names) for key, names in _OUTCOMES.items()}
    resources = result.get("resources")
    outcomes["resources"] = resources if isinstance(resources, list) else []
    unknown: Document = {"today_usd": None, "total_usd": None, "estimated": True}
    outcomes["cost"] = unknown if cost is None else cost_document(cost)
    return outcomes


def _part(found: Json, names: Sequence[str]) -> Json:
    if not isinstance(found, dict):
        return None
    return {**dict.fromkeys(names), **found}


def _warning(row: Json) -> Document:
    if isinstance(row, dict):
        return {"code": row.get("code") or "warning", "message": row.get("message")}
    return {"code": "warning", "message": str(row)}


def _usd(amount: float | None) -> float | None:
    """Without the dust of adding up: a millionth of a dollar is less than any token costs."""
    return None if amount is None else round(amount, 6)


def _instant(value: datetime | None) -> str | None:
    return None if value is None else to_text(value)

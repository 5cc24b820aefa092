"""The services as the app calls them, in memory: answers are real domain values."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from core.errors import BuilderError, NeedsYouError, UsageError
from core.models.approval import Approval, Decision
from core.models.cost import Ceiling
from core.models.execution import STEPS, Execution, LogEntry, LogLevel, StepRecord, execution_id_for
from core.models.overview import RunStep, SessionRow, UserRow
from core.models.prompt import Prompt
from core.models.session import Agent, Session, SessionKey
from core.models.states import (
    AgentState,
    ExecutionStatus,
    Needs,
    PromptKind,
    Receipt,
    SessionMode,
    SessionState,
    StepState,
)
from core.models.transcript import ChatItem, Speaker
from core.models.user import (
    HostProvider,
    SiteType,
    User,
    make_user_id,
    normalize_email,
    normalize_phone,
)
from core.services.costs import CeilingNotice
from core.services.users import CreatedUser, UserPreview
from tests.tui.fake_doctor import make_report
from tui.ports import AttachCommand, PaneFrame

NOW = datetime.now(UTC)
STATES = {
    SessionState.NEEDS_YOU: AgentState.NEEDS_YOU,
    SessionState.WORKING: AgentState.WORKING,
    SessionState.PARKED: AgentState.PARKED,
    SessionState.ENDED: AgentState.ENDED,
}


def make_user(number: int, email: str | None = None, name: str | None = None) -> User:
    email = email or f"user{number:04}@example.org"
    phone = f"+4860010{number:04}"
    return User(
        user_id=make_user_id(email, phone), email=email, phone=phone, name=name,
        created_at=NOW - timedelta(days=1), host_provider=HostProvider.LOCAL,
        site_type=SiteType.STATIC,
    )  # fmt: skip


def make_row(
    user: User, number: int, state: SessionState, *, simulated: bool = False,
    question: str | None = None, minutes: int = 2, host: HostProvider = HostProvider.LOCAL,
) -> SessionRow:  # fmt: skip
    made = NOW - timedelta(minutes=minutes)
    key = SessionKey(user.user_id, f"sess_20260112_{100000 + number:06}")
    has_run = state in {SessionState.LIVE, SessionState.FAILED, SessionState.WORKING}
    execution = make_execution(key, state) if has_run else None
    step = None
    if execution is not None and execution.current_step:
        name = STEPS[execution.current_step - 1]
        step_state = StepState.FAILED if state is SessionState.FAILED else StepState.RUNNING
        step = RunStep(n=name.n, name=name.name, state=step_state)
    live = state in {SessionState.LIVE, SessionState.FAILED}
    session = Session(
        key=key, host_provider=host, site_type=SiteType.STATIC, created_at=made, updated_at=made,
        simulated=simulated, url=f"http://127.0.0.1:{20000 + number}/" if live else None,
        deploy_count=3 if live else 0, change=1,
    )  # fmt: skip
    agent = Agent(
        key=key, state=STATES.get(state, AgentState.IDLE), source="hook", since=made,
        needs=Needs.QUESTION if state is SessionState.NEEDS_YOU else None, question=question,
    )  # fmt: skip
    return SessionRow(
        session=session, email=user.email, state=state, needs=agent.needs, why=str(state),
        agent=agent, execution=execution, step=step, path=f"/data/{user.user_id}", tmux_socket="",
    )  # fmt: skip


def make_execution(key: SessionKey, state: SessionState) -> Execution:
    status, current = {
        SessionState.FAILED: (ExecutionStatus.FAILED, 7),
        SessionState.WORKING: (ExecutionStatus.RUNNING, 4),
    }.get(state, (ExecutionStatus.COMPLETED, 7))
    failed = state is SessionState.FAILED
    return Execution(
        execution_id=execution_id_for(key, 1), key=key, run=1, status=status,
        current_step=current, from_step=1, to_step=7, created_at=NOW, updated_at=NOW,
        error="1 of 12 tests failed: menu link opens /menu: 404" if failed else None,
        result=make_result(failed=failed) if current == 7 else {},
    )  # fmt: skip


@dataclass
class FakeServices:
    """One object that plays every service; `calls` records what was asked."""

    environment: object = None

    users_by_id: dict[str, User] = field(default_factory=dict)
    rows_by_key: dict[SessionKey, SessionRow] = field(default_factory=dict)
    items_by_key: dict[SessionKey, list[ChatItem]] = field(default_factory=dict)
    approvals_by_key: dict[SessionKey, list[Approval]] = field(default_factory=dict)
    prompts_by_key: dict[SessionKey, list[Prompt]] = field(default_factory=dict)
    calls: list[tuple[Any, ...]] = field(default_factory=list)
    failure: BuilderError | None = None
    change: int = 1
    started_touching: float | None = None

    def __post_init__(self) -> None:
        self.users = FakeUsers(self)
        self.sessions = FakeSessions(self)
        self.chat = FakeChat(self)
        self.approvals = FakeApprovals(self)
        self.costs = FakeCosts()
        self.deploys = FakeDeploys(self)
        self.status = FakeStatus(self)
        self.doctor = FakeDoctor()
        self.lock = threading.Lock()

    def add(self, user: User, *rows: SessionRow) -> None:
        self.users_by_id[user.user_id] = user
        for row in rows:
            self.put(row)

    def put(self, row: SessionRow) -> None:
        """Store a row as changed."""
        self.change += 1
        session = replace(row.session, change=self.change)
        self.rows_by_key[row.key] = replace(row, session=session)

    def asked(self, *call: Any) -> None:
        self.calls.append(call)
        if self.failure is not None:
            raise self.failure

    def changes(self) -> FakeChanges:
        return FakeChanges(self)


class FakeChanges:
    """Compares the change counter, as the real feed compares the database's."""

    def __init__(self, services: FakeServices) -> None:
        self._services = services
        self._seen = -1

    def poll(self) -> bool:
        changed = self._services.change != self._seen
        self._seen = self._services.change
        return changed


@dataclass
class Page:
    users: tuple[UserRow, ...]


class FakeUsers:
    def __init__(self, services: FakeServices) -> None:
        self._all = services

    def list(self) -> Page:
        counts: dict[str, int] = {}
        for key in self._all.rows_by_key:
            counts[key.user_id] = counts.get(key.user_id, 0) + 1
        return Page(
            tuple(
                UserRow(
                    user=user,
                    sessions=counts.get(user.user_id, 0),
                    updated_at=user.created_at,
                    path="",
                )
                for user in self._all.users_by_id.values()
            )
        )

    def preview(self, email: str, phone: str) -> Any:
        email, phone = normalize_email(email), normalize_phone(phone)
        user_id = make_user_id(email, phone)
        return UserPreview(
            user_id=user_id, email=email, phone=phone, exists=self._all.users_by_id.get(user_id)
        )

    def create(self, email: str, phone: str, **options: Any) -> Any:
        self._all.asked("create_user", email, phone, options)
        user = replace(
            make_user(1), email=normalize_email(email), phone=normalize_phone(phone),
            user_id=make_user_id(normalize_email(email), normalize_phone(phone)),
            host_provider=HostProvider(options.get("host_provider") or "local"),
        )  # fmt: skip
        is_new = user.user_id not in self._all.users_by_id
        row = make_row(user, 1, SessionState.WORKING)
        self._all.add(user, row)
        return CreatedUser(user=user, is_new=is_new, path="", session=row.session)


class FakeSessions:
    is_uncontained = False

    def __init__(self, services: FakeServices) -> None:
        self._all = services

    def rows(self) -> list[SessionRow]:
        self._all.started_touching = self._all.started_touching or time.monotonic()
        return list(self._all.rows_by_key.values())

    def row(self, key: SessionKey) -> SessionRow:
        return self._all.rows_by_key[key]

    def changed_since(self, change: int) -> tuple[list[SessionRow], int]:
        rows = [row for row in self._all.rows_by_key.values() if row.session.change > change]
        return rows, self._all.change

    def create(self, user_id: str) -> Any:
        self._all.asked("create_session", user_id)
        user = self._all.users_by_id[user_id]
        row = make_row(user, 90 + len(self._all.rows_by_key), SessionState.IDLE)
        self._all.put(row)
        return row


class FakeChat:
    def __init__(self, services: FakeServices) -> None:
        self._all = services

    def items(self, key: SessionKey) -> list[ChatItem]:
        return list(self._all.items_by_key.get(key, []))

    def prompts(self, key: SessionKey) -> list[Prompt]:
        return list(self._all.prompts_by_key.get(key, []))

    def send(self, key: SessionKey, text: str) -> Prompt:
        self._all.asked("send", key, text)
        if self._all.rows_by_key[key].agent.state is AgentState.NEEDS_YOU:
            raise NeedsYouError("Claude waits for an answer.", remedy="Answer it.")
        sent = self._all.prompts_by_key.setdefault(key, [])
        prompt = make_prompt(key, len(sent) + 1, text, Receipt.QUEUED)
        sent.append(prompt)
        self.touch(key)
        return prompt

    def settle(self, key: SessionKey, receipt: Receipt, reason: str | None = None) -> None:
        sent = self._all.prompts_by_key[key]
        sent[-1] = replace(sent[-1], receipt=receipt, reason=reason)
        self.touch(key)

    def touch(self, key: SessionKey) -> None:
        self._all.put(self._all.rows_by_key[key])

    def answer(self, key: SessionKey, digit: int, timeout_s: float) -> None:
        self._all.asked("answer", key, digit)

    def interrupt(self, key: SessionKey, timeout_s: float) -> None:
        self._all.asked("interrupt", key)

    def stop(self, key: SessionKey, timeout_s: float) -> None:
        self._all.asked("stop", key)

    def wake(self, key: SessionKey, timeout_s: float) -> None:
        self._all.asked("wake", key)


class FakeCosts:
    """Figures of one user on one day; the ceilings are those that a test puts in."""

    def __init__(self) -> None:
        self.found: list[Ceiling] = []
        self.told: list[CeilingNotice] = []

    def notices(self) -> list[CeilingNotice]:
        return list(self.told)

    def ceilings(self) -> list[Ceiling]:
        return list(self.found)

    def document(self, by: str) -> dict[str, Any]:
        names = {"day": "2026-01-12", "user": "ana@acme.io", "host": "local"}
        keys = {"day": "day", "user": "email", "host": "host_provider"}
        row = {
            keys[by]: names[by], "claude_usd": 1.02, "cloud_usd_day": None, "input_tokens": 12_000,
            "output_tokens": 900, "cache_read_tokens": 0, "cache_write_tokens": 0,
        }  # fmt: skip
        return {"rows": [row]}


class FakeApprovals:
    """Answers what is asked as the worker does: at once, unless `takes_answers` is off."""

    def __init__(self, services: FakeServices) -> None:
        self._all = services
        self.takes_answers = True

    def open(self, key: SessionKey) -> list[Approval]:
        return list(self._all.approvals_by_key.get(key, []))

    def ask(self, key: SessionKey, *approvals: Approval) -> None:
        """Claude waits for these."""
        self._all.approvals_by_key[key] = list(approvals)
        self._show(key)

    def decide(
        self, key: SessionKey, decision: Decision, *, approval_id: str | None,
        message: str | None, timeout_s: float,
    ) -> dict[str, Any]:  # fmt: skip
        self._all.asked("decide", key, str(decision), approval_id, message)
        left = [one for one in self.open(key) if one.approval_id != approval_id]
        self._all.approvals_by_key[key] = left
        if self.takes_answers:
            self._show(key)
        else:
            self._all.chat.touch(key)
        return {}

    def _show(self, key: SessionKey) -> None:
        row = self._all.rows_by_key[key]
        asks = bool(self.open(key))
        agent = replace(
            row.agent, state=AgentState.NEEDS_YOU if asks else AgentState.WORKING,
            needs=Needs.PERMISSION if asks else None, mode=SessionMode.SUPERVISED,
        )  # fmt: skip
        state = SessionState.NEEDS_YOU if asks else SessionState.WORKING
        session = replace(row.session, mode=SessionMode.SUPERVISED)
        self._all.put(replace(row, agent=agent, state=state, needs=agent.needs, session=session))


def make_approval(
    key: SessionKey, number: int = 1, command: str = "npm install", *, rule: bool = True
) -> Approval:
    now = datetime.now(UTC)
    return Approval(
        key=key, approval_id=f"{number}-1", tool_name="Bash", subject=command,
        tool_input="{}", rule_subject=command if rule else None, event_sha256="", created_at=now,
        deadline_at=now + timedelta(minutes=10),
    )  # fmt: skip


def make_prompt(
    key: SessionKey, seq: int, text: str, receipt: Receipt, reason: str | None = None
) -> Prompt:
    return Prompt(
        prompt_id=f"p{seq}", key=key, seq=seq, kind=PromptKind.WISH, text=text, receipt=receipt,
        created_at=NOW + timedelta(seconds=seq), reason=reason,
    )  # fmt: skip


class FakeDeploys:
    def __init__(self, services: FakeServices) -> None:
        self._all = services

    def start(self, key: SessionKey) -> Execution:
        self._all.asked("deploy", key)
        return make_execution(key, SessionState.WORKING)

    def rollback(self, key: SessionKey, to: int | None) -> Execution:
        self._all.asked("rollback", key, to)
        return make_execution(key, SessionState.WORKING)

    def retry(self, execution_id: str) -> Execution:
        self._all.asked("retry", execution_id)
        return make_execution(next(iter(self._all.rows_by_key)), SessionState.WORKING)

    def cancel(self, execution_id: str) -> None:
        self._all.asked("cancel", execution_id)

    def steps(self, execution_id: str) -> list[StepRecord]:
        rows = self._all.rows_by_key.values()
        runs = [row.execution for row in rows if row.execution is not None]
        return make_steps(next(run for run in runs if run.execution_id == execution_id))

    def check(self, key: SessionKey, *, timeout_s: float) -> dict[str, Any]:
        self._all.asked("check", key)
        return {"url": "u", "status": 200, "type": "text/html", "bytes": 18402, "ms": 41}

    def screenshot(self, key: SessionKey, *, timeout_s: float) -> dict[str, Any]:
        self._all.asked("screenshot", key)
        return {"full": "deployment/tests/screenshot.png"}

    def test(self, key: SessionKey, *, timeout_s: float) -> dict[str, Any]:
        self._all.asked("test", key)
        return {"passed": 11, "failed": 1, "skipped": 0, "failures": [{"name": "menu link"}]}

    def destroy(self, key: SessionKey, *, confirm: str | None, timeout_s: float) -> dict[str, Any]:
        self._all.asked("destroy", key, confirm)
        return {"deleted": [{}]}


class FakeStatus:
    def __init__(self, services: FakeServices) -> None:
        self._all = services

    def logs(self, key: SessionKey, *, after_line: int = 0) -> list[LogEntry]:
        return make_log()[after_line:]


_TOOK_MS = (90, 210, 108_000, 41_700, 2_300, 3_900, 8_100)


def make_steps(execution: Execution) -> list[StepRecord]:
    steps = []
    for name, took in zip(STEPS, _TOOK_MS, strict=True):
        state = StepState.OK if name.n < execution.current_step else StepState.PENDING
        if name.n == execution.current_step:
            state = {
                ExecutionStatus.FAILED: StepState.FAILED,
                ExecutionStatus.RUNNING: StepState.RUNNING,
            }.get(execution.status, StepState.OK)
        failed = state is StepState.FAILED
        steps.append(
            StepRecord(
                n=name.n,
                name=name.name,
                state=state,
                ms=took if state.is_over else None,
                started_at=NOW,
                detail="menu link opens /menu: 404" if failed else None,
            )
        )
    return steps


def make_result(*, failed: bool) -> dict[str, Any]:
    return {
        "url": "http://127.0.0.1:20001/", "deploy": 3,
        "files": {"total": 14, "changed": 2, "bytes": 19211},
        "check": {"status": 200, "type": "text/html", "bytes": 18402, "ms": 41, "tries": 1},
        "tests": {"passed": 11, "failed": int(failed), "skipped": 0},
        "shots": {
            "full": "deployment/tests/screenshot.png",
            "thumb": "deployment/tests/screenshot_thumb.png",
        },
    }  # fmt: skip


def make_log() -> list[LogEntry]:
    rows: list[tuple[int, LogLevel, str, dict[str, Any]]] = [
        (1, LogLevel.INFO, "user exists", {"user_id": "7f3c9e01"}),
        (3, LogLevel.INFO, "prompt accepted", {"prompt": "brief"}),
        (4, LogLevel.INFO, "file uploaded", {"path": "style.css", "bytes": 9114}),
        (5, LogLevel.WARN, "not there yet, trying again", {"status": 503}),
        (6, LogLevel.INFO, "photographed", {"path": "screenshot.png"}),
        (7, LogLevel.ERROR, "menu link opens /menu: 404", {"url": "http://127.0.0.1/menu"}),
    ]
    return [
        LogEntry(
            line=number,
            timestamp=NOW + timedelta(seconds=number),
            level=level,
            message=message,
            step=step,
            step_name=STEPS[step - 1].name,
            details=details,
            trace_id="4f1c",
        )
        for number, (step, level, message, details) in enumerate(rows, start=1)
    ]


class FakeDoctor:
    def run(self, purposes: set[str]) -> Any:
        return make_report(purposes)


class FakePane:
    """A pane that shows a counter."""

    def __init__(self) -> None:
        self.listeners: list[Callable[[], None]] = []
        self.captures = 0

    def capture(self, key: SessionKey) -> PaneFrame | None:
        self.captures += 1
        lines = ["\x1b[1;38;5;208m✻ Claude Code\x1b[0m", "", f"  capture {self.captures}"]
        lines += [f"\x1b[3{n % 8}mrow {n}\x1b[0m and \x1b[7minverse\x1b[0m" for n in range(3, 40)]
        return PaneFrame(
            lines=tuple(lines), width=160, height=40, cursor=(2, 5), captured_at=time.monotonic()
        )

    def listen(self, key: SessionKey, on_output: Callable[[], None]) -> Callable[[], None]:
        self.listeners.append(on_output)
        return lambda: self.listeners.remove(on_output)


class FakeAttach:
    def command(self, key: SessionKey, *, read_only: bool) -> AttachCommand:
        return AttachCommand(argv=("sh", "-c", "sleep 0.3"), environment={"PATH": "/bin:/usr/bin"})


def small_office(**row_options: Any) -> FakeServices:
    """A few customers in every state, with a chat in the one that needs the operator."""
    services = FakeServices()
    ana, jan = make_user(1, "ana@acme.io", "Ana"), make_user(2, "jan@bistro.pl")
    ola, tom = make_user(3, "ola@kowal.dev"), make_user(4, "tom@lumen.co")
    asks = "Which colour should the header have? 1 Blue  2 Green  3 Something else"
    first = make_row(ana, 1, SessionState.NEEDS_YOU, question=asks, **row_options)
    services.add(ana, first, make_row(ana, 2, SessionState.LIVE, minutes=9))
    services.add(jan, make_row(jan, 3, SessionState.WORKING, minutes=1))
    services.add(
        ola,
        make_row(ola, 4, SessionState.FAILED, minutes=30),
        make_row(ola, 5, SessionState.IDLE, minutes=300),
        make_row(ola, 6, SessionState.PARKED, minutes=3000),
    )
    services.add(tom, make_row(tom, 7, SessionState.ENDED, minutes=90_000))
    for row in list(services.rows_by_key.values()):
        services.items_by_key[row.key] = make_chat()
        services.prompts_by_key[row.key] = [
            make_prompt(row.key, 1, "Bakery site, 3 pages, warm colours.", Receipt.ACCEPTED),
            make_prompt(row.key, 2, "[Edit] the [/] header", Receipt.REFUSED, "Claude was busy"),
        ]
    return services


def make_chat() -> list[ChatItem]:
    def item(number: int, speaker: Speaker, text: str, **fields: Any) -> ChatItem:
        at = NOW - timedelta(minutes=8) + timedelta(seconds=number)
        return ChatItem(item_id=f"i{number}", at=at, speaker=speaker, text=text, **fields)

    return [
        item(1, Speaker.OPERATOR, "Bakery site, 3 pages, warm colours."),
        item(2, Speaker.CLAUDE, "I will build **3 pages**: Home, Menu, Contact."),
        item(3, Speaker.TOOL, "wrote it\n" * 3, tool="Write", title="source/index.html", ok=True,
             result="+182", duration_ms=1200),
        item(4, Speaker.TOOL, "wrote it", tool="Write", title="source/menu.html", ok=True,
             result="+141", duration_ms=900),
        item(5, Speaker.TOOL, "curl: (6) Could not resolve host: fonts.google", tool="Bash",
             title="curl -I https://fonts.google", ok=False, result="exit 6", duration_ms=400),
        item(6, Speaker.CLAUDE, "Done. The menu page uses a CSS grid with:\n\n- 12 items in "
             "3 groups\n- prices aligned right with `text-align: end`\n\n```css\n.menu { display:"
             " grid; }\n```\nSay [bold]if[/bold] you want [Edit] changes \x1b[31mnow\x1b[0m."),
        item(7, Speaker.NOTE, "deploy #3 ok  http://127.0.0.1:20001/  41.7s"),
    ]  # fmt: skip


def many(count: int) -> FakeServices:
    """`count` users with one session each."""
    services = FakeServices()
    states = list(SessionState)[2:]
    for number in range(count):
        user = make_user(number)
        state = states[number % len(states)]
        services.add(user, make_row(user, number, state, minutes=number % 5000))
    return services


def empty() -> FakeServices:
    return FakeServices()


REFUSED = UsageError("The text is empty.", remedy="Write something.")

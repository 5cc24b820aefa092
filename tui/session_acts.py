"""What the operator asks for, done off the screen's thread and reported as a sentence."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from textual.message import Message
from textual.widget import Widget

from core.errors import BuilderError
from tui.messages import (
    ActFailed,
    ActFinished,
    DecisionRefused,
    SessionMade,
    WishQueued,
    WishRefused,
)
from tui.quantities import short_session, size

if TYPE_CHECKING:
    from core.models.approval import Approval, Decision
    from core.models.session import SessionKey
    from core.services.services import Services

logger = logging.getLogger(__name__)

CHECK_TIMEOUT_S = 90.0
SCREENSHOT_TIMEOUT_S = 120.0
TEST_TIMEOUT_S = 600.0
PANE_TIMEOUT_S = 20.0
DESTROY_TIMEOUT_S = 1800.0
DECIDED = {
    "allow": "allowed once: {}",
    "allow_session": "allowed for this session: {}",
    "deny": "denied: {}",
}


class SessionActs:
    """One method for each act on a session. The same act is never under way twice."""

    def __init__(self, services: Services, host: Widget) -> None:
        self.services = services
        self._host = host
        self._under_way: set[str] = set()

    def run(
        self, name: str, function: Callable[[], Message], *, failed: Message | None = None
    ) -> bool:
        """Run a blocking function as a named worker; False where the same one still runs.

        Args:
            failed: Posted beside the reason when the function is refused or fails.
        """
        if name in self._under_way:
            self._host.post_message(ActFinished(f"{name.partition(' ')[0]} is still under way"))
            return False
        self._under_way.add(name)
        self._host.run_worker(
            self._report(name, function, failed), name=name, group=name, exclusive=True
        )
        return True

    async def _report(
        self, name: str, function: Callable[[], Message], failed: Message | None
    ) -> None:
        from tui.background import in_background  # noqa: PLC0415  # not before the first paint

        try:
            self._host.post_message(await in_background(function))
        except BuilderError as error:
            self._fail(ActFailed(error.message, error.remedy), failed)
        except Exception as error:  # the edge: a fault of ours must not end the app
            logger.exception("act failed", extra={"act": name})
            message = f"{name.partition(' ')[0]} failed: {type(error).__name__}: {error}"
            self._fail(ActFailed(message, "The trace is in the program's log."), failed)
        finally:
            self._under_way.discard(name)

    def _fail(self, reason: ActFailed, failed: Message | None) -> None:
        self._host.post_message(reason)
        if failed is not None:
            self._host.post_message(failed)

    def send(self, key: SessionKey, text: str) -> None:
        def act() -> Message:
            self.services.chat.send(key, text)
            return WishQueued(key, text)

        if not self.run(f"send {key}", act, failed=WishRefused(key, text)):
            self._host.post_message(WishRefused(key, text))

    def answer(self, key: SessionKey, digit: int) -> None:
        def act() -> Message:
            self.services.chat.answer(key, digit, PANE_TIMEOUT_S)
            return ActFinished(f"answered {digit}", key)

        self.run(f"answer {key}", act)

    def decide(self, approval: Approval, decision: Decision, message: str | None) -> None:
        """Answer a permission through the worker; the pane gets no key."""
        key = approval.key

        def act() -> Message:
            self.services.approvals.decide(
                key, decision, approval_id=approval.approval_id, message=message,
                timeout_s=PANE_TIMEOUT_S,
            )  # fmt: skip
            return ActFinished(DECIDED[str(decision)].format(approval.subject), key)

        self.run(f"answer {key}", act, failed=DecisionRefused(approval))

    def interrupt(self, key: SessionKey) -> None:
        def act() -> Message:
            self.services.chat.interrupt(key, PANE_TIMEOUT_S)
            return ActFinished("Claude's turn was interrupted", key)

        self.run(f"interrupt {key}", act)

    def stop(self, key: SessionKey) -> None:
        def act() -> Message:
            self.services.chat.stop(key, PANE_TIMEOUT_S)
            return ActFinished("Claude was stopped; files and site stay", key)

        self.run(f"stop {key}", act)

    def deploy(self, key: SessionKey) -> None:
        def act() -> Message:
            execution = self.services.deploys.start(key)
            return ActFinished(f"deploy is queued as run {execution.run}", key)

        self.run(f"deploy {key}", act)

    def rollback(self, key: SessionKey) -> None:
        def act() -> Message:
            execution = self.services.deploys.rollback(key, None)
            return ActFinished(f"rollback is queued as run {execution.run}", key)

        self.run(f"rollback {key}", act)

    def retry(self, key: SessionKey, execution_id: str) -> None:
        def act() -> Message:
            execution = self.services.deploys.retry(execution_id)
            return ActFinished(f"retry is queued as run {execution.run}", key)

        self.run(f"retry {key}", act)

    def cancel(self, key: SessionKey, execution_id: str) -> None:
        def act() -> Message:
            self.services.deploys.cancel(execution_id)
            return ActFinished("the run is being cancelled", key)

        self.run(f"cancel {key}", act)

    def check(self, key: SessionKey) -> None:
        def act() -> Message:
            answer = self.services.deploys.check(key, timeout_s=CHECK_TIMEOUT_S)
            return ActFinished(check_sentence(answer), key)

        self.run(f"check {key}", act)

    def screenshot(self, key: SessionKey) -> None:
        def act() -> Message:
            answer = self.services.deploys.screenshot(key, timeout_s=SCREENSHOT_TIMEOUT_S)
            return ActFinished(f"screenshot: {answer.get('full')}", key)

        self.run(f"screenshot {key}", act)

    def test(self, key: SessionKey) -> None:
        def act() -> Message:
            answer = self.services.deploys.test(key, timeout_s=TEST_TIMEOUT_S)
            return ActFinished(tests_sentence(answer), key)

        self.run(f"test {key}", act)

    def destroy(self, key: SessionKey) -> None:
        def act() -> Message:
            answer = self.services.deploys.destroy(
                key, confirm=key.session_id, timeout_s=DESTROY_TIMEOUT_S
            )
            deleted, left = answer.get("deleted"), answer.get("left")
            count = len(deleted) if isinstance(deleted, list) else 0
            if isinstance(left, list) and left:
                return ActFailed(
                    f"destroyed {count} resources, {len(left)} are left", "Destroy again to go on."
                )
            return ActFinished(f"destroyed {count} resources; local files are kept", key)

        self.run(f"destroy {key}", act)

    def new_session(self, user_id: str) -> None:
        def act() -> Message:
            made = self.services.sessions.create(user_id)
            name = short_session(made.session.key.session_id)
            return SessionMade(f"session {name} is made and Claude starts", made.session.key)

        self.run(f"session {user_id}", act)


def check_sentence(answer: Mapping[str, Any]) -> str:
    kind = str(answer.get("type") or "").partition(";")[0]
    return (
        f"health check: {answer.get('status')} {kind} {size(answer.get('bytes'))}"
        f" in {answer.get('ms')} ms"
    )


def tests_sentence(answer: Mapping[str, Any]) -> str:
    passed, failed = int(answer.get("passed") or 0), int(answer.get("failed") or 0)
    failures = answer.get("failures") or []
    first = f": {failures[0].get('name')}" if failures and failed else ""
    return f"tests: {passed} of {passed + failed} passed{first}"

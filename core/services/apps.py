"""The program of a dynamic site: its output, and its variables, whose values only go inwards."""

from __future__ import annotations

from core.errors import UsageError
from core.handover import Handover
from core.hosts.instance.variables import LARGEST_VALUE_BYTES, checked_name, checked_value
from core.models.execution import Json
from core.models.request import RequestKind
from core.models.session import SessionKey
from core.models.user import SiteType
from core.services.context import Environment
from core.services.waiting import ask_worker

__all__ = ["LARGEST_VALUE_BYTES", "AppService"]

VARIABLE_TIMEOUT_S = 300.0
LOG_TIMEOUT_S = 120.0


class AppService:
    """What a dynamic site has besides its pages; the worker asks the host, which has the logins."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._handover = Handover(environment.runtime.secrets)

    def variables(self, key: SessionKey, timeout_s: float = VARIABLE_TIMEOUT_S) -> dict[str, Json]:
        """The names of the variables that the program gets, never their values.

        Raises:
            UsageError: A static site has no program.
        """
        self._require_program(key)
        answer = ask_worker(self._environment, RequestKind.VARIABLES, key, timeout_s=timeout_s)
        return {**_ids(key), "names": answer.get("names") or []}

    def check_name(self, key: SessionKey, name: str) -> None:
        """Refuse a session or a name before anybody has typed a secret for it.

        Raises:
            UsageError: A static site has no program, or the name cannot be one.
        """
        self._require_program(key)
        checked_name(name)

    def set_variable(
        self, key: SessionKey, name: str, value: str, timeout_s: float = VARIABLE_TIMEOUT_S
    ) -> dict[str, Json]:
        """Keep a value in the host's facility and hand it to the program from now on.

        The value is in no row and no argument: it lies in a private file until the worker has read
        it, or until this wait is over.

        Raises:
            UsageError: A static site has no program, or name or value cannot be one.
        """
        self.check_name(key, name)
        _checked(name, value)
        self._environment.worker.ensure_running()
        left = self._handover.leave(value)
        try:
            payload: dict[str, Json] = {"name": name, "value_file": left}
            ask_worker(
                self._environment, RequestKind.SET_VARIABLE, key, payload, timeout_s=timeout_s
            )
        finally:
            self._handover.withdraw(left)
        return {**_ids(key), "name": name}

    def unset_variable(
        self, key: SessionKey, name: str, timeout_s: float = VARIABLE_TIMEOUT_S
    ) -> dict[str, Json]:
        """The program no longer gets it; one that is not set is fine.

        Raises:
            UsageError: A static site has no program, or the name cannot be one.
        """
        self.check_name(key, name)
        payload: dict[str, Json] = {"name": name}
        ask_worker(self._environment, RequestKind.UNSET_VARIABLE, key, payload, timeout_s=timeout_s)
        return {**_ids(key), "name": name}

    def log(self, key: SessionKey, lines: int, timeout_s: float = LOG_TIMEOUT_S) -> str:
        """The newest lines that the program wrote; they may hold secrets and are kept nowhere.

        Raises:
            UsageError: A static site has no program.
        """
        self._require_program(key)
        answer = ask_worker(
            self._environment, RequestKind.APP_LOG, key, {"lines": lines}, timeout_s=timeout_s,
            forget=True,
        )  # fmt: skip
        return str(answer.get("text") or "")

    def _require_program(self, key: SessionKey) -> None:
        session = self._environment.store.sessions.require(key)
        if session.site_type is not SiteType.DYNAMIC:
            raise UsageError(
                f"{key.session_id} is a static site: it has no program.",
                remedy="Make a session with --site-type dynamic for a program.",
                code="no_program",
            )


def _checked(name: str, value: str) -> None:
    """That a program can be given it; an empty one is taken for a pipe that broke."""
    if not value:
        raise UsageError(
            f"No value was given for {name}.",
            remedy="Write it to stdin; to take the variable away, use session env unset.",
            code="invalid_value",
        )
    checked_value(name, value)


def _ids(key: SessionKey) -> dict[str, Json]:
    return {"user_id": key.user_id, "session_id": key.session_id}

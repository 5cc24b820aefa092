"""From what a person types to a user, a session or an execution. Text never becomes a path."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from core.errors import AmbiguousNameError, BuilderError, NotFoundError, UsageError
from core.files import write_atomically
from core.models.execution import Execution
from core.models.session import SESSION_ID, Session, SessionKey
from core.models.user import User
from core.services.context import Environment

CANDIDATES = 5
_GUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_EXECUTION = re.compile(rf"{_GUID}_sess_\d{{8}}_\d{{6}}(?:_r\d+)?")
_USER_PREFIX = re.compile(r"[0-9a-f-]{1,36}")
_SESSION_PREFIX = re.compile(r"sess_[0-9_]{0,15}|[0-9][0-9_]{0,14}")
_REMEMBERED = re.compile(rf"({_GUID})/({SESSION_ID.pattern})")


class NameService:
    """Resolves names; the forms are those of the command line."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._store = environment.store

    def user(self, name: str) -> User:
        """A user by full id, unique prefix of it, or e-mail.

        Raises:
            NotFoundError: Nobody fits; the nearest name is told.
            AmbiguousNameError: Several fit; at most five are told.
        """
        wanted = name.strip().lower()
        if "@" in wanted:
            found = self._store.users.by_email(wanted)
        elif _USER_PREFIX.fullmatch(wanted):
            found = self._store.users.by_prefix(wanted)
        else:
            found = []
        if len(found) == 1:
            return found[0]
        if found:
            candidates = [f"{user.user_id} ({user.email}, {user.phone})" for user in found]
            raise _ambiguous("user", name, candidates)
        known = self._store.users.all()
        names = [user.email if "@" in wanted else user.user_id for user in known]
        raise _unknown("user", name, wanted, names)

    def session(self, name: str | None, cwd: Path) -> Session:
        """A session by any form; None means the one whose folder `cwd` is or lies in.

        Raises:
            UsageError: No name was given outside of a session's folder.
            NotFoundError, AmbiguousNameError: As for users.
        """
        if name is None or name.strip() == ".":
            return self._here(cwd, is_named=name is not None)
        wanted = name.strip()
        if wanted == "-":
            return self._last()
        if "/" in wanted:
            owner, _, prefix = wanted.partition("/")
            return self._by_prefix(prefix, name, self.user(owner))
        if "@" in wanted:
            user = self.user(wanted)
            sessions = self._store.sessions.of_user(user.user_id)
            if sessions:
                return sessions[0]
            raise NotFoundError(
                f"The user {user.email} has no session yet.",
                remedy=f"tmux-builder session create {user.email}",
            )
        return self._by_prefix(wanted, name, None)

    def execution(self, name: str) -> Execution | None:
        """The execution of that id; None where the name does not have an execution's form.

        Raises:
            NotFoundError: It has the form, and there is no such execution.
        """
        wanted = name.strip().lower()
        if not _EXECUTION.fullmatch(wanted):
            return None
        execution = self._store.executions.get(wanted)
        if execution is None:
            raise _unknown("execution", name, wanted, self._store.executions.stamps())
        return execution

    def remember(self, key: SessionKey) -> None:
        """This session is what `-` means from now on; a read-only disk is no failure."""
        content = f"{key.user_id}/{key.session_id}\n".encode()
        file = self._environment.root.last_session
        try:
            if not file.is_file() or file.read_bytes() != content:
                write_atomically(file, content)
        except (BuilderError, OSError):
            return

    def _here(self, cwd: Path, *, is_named: bool) -> Session:
        place = self._environment.root.find_session(cwd)
        session = None if place is None else self._store.sessions.get(SessionKey(*place))
        if session is not None:
            return session
        if is_named:
            raise NotFoundError(
                f"{cwd} is not in the folder of a session.", remedy="tmux-builder session list"
            )
        raise UsageError(
            "No session was named, and this is not the folder of one.",
            remedy="Give a session: its id, a prefix of it, or the user's e-mail.",
        )

    def _last(self) -> Session:
        file = self._environment.root.last_session
        try:
            match = _REMEMBERED.fullmatch(file.read_text()[:200].strip())
        except (OSError, UnicodeDecodeError):
            match = None
        session = None if match is None else self._store.sessions.get(SessionKey(*match.groups()))
        if session is None:
            raise NotFoundError(
                "There is no session that was used last.", remedy="tmux-builder session list"
            )
        return session

    def _by_prefix(self, prefix: str, name: str, user: User | None) -> Session:
        user_id = None if user is None else user.user_id
        found: list[Session] = []
        if _SESSION_PREFIX.fullmatch(prefix):
            full = prefix if prefix.startswith("sess_") else f"sess_{prefix}"
            found = self._store.sessions.by_prefix(full, user_id)
        if len(found) == 1:
            return found[0]
        if found:
            raise _ambiguous("session", name, [self._full_name(one) for one in found])
        sessions = self._store.sessions.all()
        names = {one.key.session_id for one in sessions if user_id in {None, one.key.user_id}}
        raise _unknown("session", name, prefix, names)

    def _full_name(self, session: Session) -> str:
        user = self._store.users.get(session.key.user_id)
        owner = session.key.user_id
        if user is not None and len(self._store.users.by_email(user.email, limit=2)) == 1:
            owner = user.email
        return f"{owner}/{session.key.session_id}"


def _ambiguous(what: str, name: str, candidates: Sequence[str]) -> AmbiguousNameError:
    shown = "\n".join(f"  {candidate}" for candidate in candidates[:CANDIDATES])
    more = ", among others" if len(candidates) > CANDIDATES else ""
    return AmbiguousNameError(
        f"{name[:80]!r} fits more than one {what}{more}:\n{shown}",
        remedy=f"Give more of the {what}'s name, for example {candidates[0].split(' ')[0]}.",
    )


def _unknown(what: str, name: str, wanted: str, known: Iterable[str]) -> NotFoundError:
    import difflib  # noqa: PLC0415 - only a wrong name needs it

    near = difflib.get_close_matches(wanted, list(known), n=1, cutoff=0.4)
    listing = "tmux-builder user list" if what == "user" else "tmux-builder session list"
    remedy = f"Did you mean {near[0]}?" if near else listing
    return NotFoundError(f"There is no {what} {name[:80]!r}.", remedy=remedy)

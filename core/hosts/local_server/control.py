"""What the publisher asks the server over its private socket: one JSON line each way."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from core.errors import (
    AnswerIsNoError,
    BuilderError,
    ConflictError,
    MissingProgramError,
    StorageError,
)
from core.models.session import SessionKey
from core.models.user import SiteType

PROTOCOL = 2
LONGEST_LINE_BYTES = 64 * 1024

UserId = Annotated[str, Meta(pattern=r"^[0-9a-zA-Z-]{1,64}$")]
SessionId = Annotated[str, Meta(pattern=r"^sess_[0-9]{8}_[0-9]{6}$")]
ReleaseId = Annotated[str, Meta(pattern=r"^[0-9a-f]{8,64}$")]
Port = Annotated[int, Meta(ge=1024, le=65535)]


class _SiteCommand(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    user_id: UserId
    session_id: SessionId

    @property
    def key(self) -> SessionKey:
        return SessionKey(self.user_id, self.session_id)


class Ping(msgspec.Struct, frozen=True, tag="ping"):
    """Are you there, and do we speak alike?"""


class Activate(_SiteCommand, frozen=True, tag="activate"):
    """Serve this release on this port; it lies in its place already."""

    port: Port
    site_type: SiteType
    release_id: ReleaseId
    isolated: bool


class Restore(_SiteCommand, frozen=True, tag="restore"):
    """Serve again what the folder of the site says."""


class Refresh(_SiteCommand, frozen=True, tag="refresh"):
    """Start the site's program anew with its newest variables; the old one until it answers."""


class Remove(_SiteCommand, frozen=True, tag="remove"):
    """Stop serving the site, for good."""


class Status(_SiteCommand, frozen=True, tag="status"):
    """Which release does the site answer with?"""


class Shutdown(msgspec.Struct, frozen=True, tag="shutdown"):
    """End, with everything that was started."""


Command = Ping | Activate | Restore | Refresh | Remove | Status | Shutdown


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One of our errors on its way to the publisher."""

    kind: str
    code: str
    message: str
    remedy: str


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What the server says. `release_id` is None where the site does not answer."""

    pid: int
    protocol: int = PROTOCOL
    release_id: str | None = None
    port: int | None = None
    switched: bool = False
    problem: Problem | None = None


_KINDS: dict[str, type[BuilderError]] = {
    kind.__name__: kind
    for kind in (AnswerIsNoError, ConflictError, MissingProgramError, StorageError)
}


def problem_of(error: BuilderError) -> Problem:
    kind = next((name for name, kind in _KINDS.items() if isinstance(error, kind)), "")
    return Problem(kind=kind, code=error.code, message=error.message, remedy=error.remedy)


def error_of(problem: Problem) -> BuilderError:
    """The same error on this side of the socket."""
    kind = _KINDS.get(problem.kind, BuilderError)
    return kind(problem.message, remedy=problem.remedy, code=problem.code)

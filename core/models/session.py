"""A customer's site: its identity, its shown state and why."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from core.models.states import AgentState, ModelSpeed, Needs, SessionMode
from core.models.user import HostProvider, SiteType

SESSION_ID = re.compile(r"sess_\d{8}_\d{6}")


@dataclass(frozen=True, slots=True, order=True)
class SessionKey:
    """A session id is unique within its user only, so both parts always travel together."""

    user_id: str
    session_id: str

    @property
    def tmux_name(self) -> str:
        """The session's name in tmux: made from ids only, nothing a person typed."""
        return f"tb-{self.user_id[:8]}-{self.session_id.removeprefix('sess_')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A site of a user."""

    key: SessionKey
    host_provider: HostProvider
    site_type: SiteType
    created_at: datetime
    updated_at: datetime
    brief: str | None = None
    mode: SessionMode = SessionMode.UNATTENDED
    injection_sha256: str | None = None
    """Digest of the injection lock as the product wrote it last; None before it was recorded."""
    simulated: bool = False
    model_speed: ModelSpeed = ModelSpeed.NORMAL
    """How fast the scripted model answers; without a meaning where the session is not simulated."""
    archived: bool = False
    url: str | None = None
    last_deployed_at: datetime | None = None
    deploy_count: int = 0
    port: int | None = None
    model_url: str | None = None
    """Where the session's Claude finds its Messages API when it is not the vendor's."""
    aws_profile: str = "sunwaretech"
    azure_profile: str = "sunwaretech"
    """The cloud logins that the session was made with; later settings do not move its site."""
    account_id: str | None = None
    """The cloud account or subscription that holds the site, pinned by the first deploy."""
    name_suffix: str | None = None
    """Part of the names of what the host makes, where the plain name was taken."""
    change: int = 0
    """The store's change counter when this session, its agent or its runs last changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """The Claude process of one session, with the evidence for its state."""

    key: SessionKey
    state: AgentState = AgentState.ABSENT
    needs: Needs | None = None
    source: str = "store"
    """Which signal says so: hook, registry, transcript, pane or store."""
    evidence: str = ""
    since: datetime | None = None
    claude_session_id: str | None = None
    transcript_path: str | None = None
    server_pid: int | None = None
    pane_id: str | None = None
    pane_pid: int | None = None
    question: str | None = None
    """What Claude asks, one line a person can decide on."""
    mode: SessionMode | None = None
    """The mode that its process was started in; None where no process ever was."""

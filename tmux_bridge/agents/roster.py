"""Which panes live, as tmux listed them last, and in words how the others ended."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from core.clock import Clock
from core.errors import BuilderError
from core.models.session import Agent
from tmux_bridge.agents.terminal import Terminal
from tmux_bridge.tmux.panes import PaneInfo

LIST_EVERY_S = 2.0
"""tmux reports births and deaths by itself; this finds what it left out."""

START_LIST_EVERY_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """Whether a pane's process lives, None where tmux could not be asked, and how it ended.

    Attributes:
        has_exited: It ended by itself, by nobody's signal and with its pane still there.
    """

    alive: bool | None
    gone: str = ""
    has_exited: bool = False


class PaneRoster:
    """The last listing of all panes."""

    def __init__(self, terminal: Terminal, clock: Clock) -> None:
        self._terminal = terminal
        self._clock = clock
        self._panes: dict[str, PaneInfo] | None = {}
        self._listed_at = float("-inf")
        self._is_stale = True

    def expire(self) -> None:
        """Something was born or died: the next refresh lists again."""
        self._is_stale = True

    def refresh(self, *, every_s: float = LIST_EVERY_S) -> None:
        """List the panes where the listing is stale or that old."""
        now = self._clock.monotonic()
        if not self._is_stale and now - self._listed_at < every_s:
            return
        self._is_stale = False
        try:
            self._panes = self._terminal.living()
        except BuilderError:
            self._panes = None if self._terminal.is_server_running() else {}
        # The instant before the question: what was born while it was answered may be missing.
        self._listed_at = now

    def life(self, agent: Agent, *, started_at_s: float | None) -> Life:
        """What the listing says of an agent's process.

        Args:
            started_at_s: Monotonic second at which its pane was made, where this process made it.
        """
        if self._panes is None:
            return Life(alive=None)
        pane = self._own(agent)
        if pane is None:
            if started_at_s is not None and started_at_s >= self._listed_at:
                return Life(alive=None)
            return Life(alive=False, gone=self._why_missing(agent))
        if not pane.dead:
            return Life(alive=True)
        return Life(alive=False, gone=_why_dead(pane), has_exited=not pane.dead_signal)

    def born_at(self, agent: Agent) -> datetime | None:
        """When the agent's session in tmux was made; None where it is not listed."""
        pane = self._own(agent)
        return None if pane is None else pane.created_at

    def _own(self, agent: Agent) -> PaneInfo | None:
        pane = (self._panes or {}).get(agent.key.tmux_name)
        is_own = (
            pane is not None
            and pane.pane_id == agent.pane_id
            and pane.server_pid == agent.server_pid
        )
        return pane if is_own else None

    def _why_missing(self, agent: Agent) -> str:
        servers = {pane.server_pid for pane in (self._panes or {}).values()}
        if agent.server_pid not in servers:
            return "the tmux server ended"
        return "its pane was closed"


def _why_dead(pane: PaneInfo) -> str:
    if pane.dead_signal:
        return f"its process was ended by signal {pane.dead_signal}"
    if pane.dead_status is not None:
        return f"its process ended with status {pane.dead_status}"
    return "its process is gone"

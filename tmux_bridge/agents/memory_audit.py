"""Which memory files a Claude says it has read, held against its own session.

The CLI looks for `CLAUDE.md` in parent folders too. The walls keep those out; the log says so.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

from core.models.session import SessionKey
from core.paths import SessionPaths
from tmux_bridge.claude.hooks import HookEvent, HookName

FILES_TOLD = 20
"""A pane writes its own events, so it cannot fill the log with them."""

_NAME_CHARS = 300

logger = logging.getLogger(__name__)


class MemoryAudit:
    """Tells each memory file of one Claude's life once."""

    def __init__(self, key: SessionKey, paths: SessionPaths) -> None:
        self._key = key
        self._root = paths.root
        self._told: set[str] = set()

    def look(self, events: Iterable[HookEvent]) -> None:
        """Log what is new: quietly for the session's own files, as a warning for any other."""
        for event in events:
            file = (event.file_path or "")[:_NAME_CHARS]
            is_memory = event.event == HookName.INSTRUCTIONS and file
            if not is_memory or file in self._told or len(self._told) >= FILES_TOLD:
                continue
            self._told.add(file)
            is_own = ".." not in Path(file).parts and Path(file).is_relative_to(self._root)
            level = logging.INFO if is_own else logging.WARNING
            message = "memory file read" if is_own else "memory file of another place read"
            facts = {"user_id": self._key.user_id, "session_id": self._key.session_id}
            logger.log(level, message, extra={**facts, "file": file})

"""Chats of any session of a data root, each read beneath its own configuration folder only."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from core.models.transcript import ChatItem
from core.paths import DataRoot
from tmux_bridge.claude.transcript import TranscriptReader

_CONFIG_PARTS = 3
"""`<user_id>/claude/<session_id>` below the data root."""


class TranscriptReaders:
    """Implements the port `ChatReader`; a second look at a chat costs only what is new."""

    def __init__(self, root: DataRoot) -> None:
        self._root = root
        self._readers: dict[Path, TranscriptReader] = {}

    def read(self, transcripts: Sequence[Path]) -> list[ChatItem]:
        """Paths outside the data root add nothing."""
        items: list[ChatItem] = []
        for transcript in transcripts:
            reader = self._reader(transcript)
            if reader is not None:
                items += reader.read([transcript])
        return items

    def _reader(self, transcript: Path) -> TranscriptReader | None:
        try:
            parts = transcript.relative_to(self._root.path).parts
        except ValueError:
            return None
        if len(parts) <= _CONFIG_PARTS or ".." in parts:
            return None
        user_id, _, session_id = parts[:_CONFIG_PARTS]
        paths = self._root.session(user_id, session_id)
        if paths.claude_config not in self._readers:
            self._readers[paths.claude_config] = TranscriptReader(paths.claude_config, paths.root)
        return self._readers[paths.claude_config]

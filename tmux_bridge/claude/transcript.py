"""The chat, read from the CLI's transcripts: by offset, whole lines only, each line once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from core.models.transcript import ChatItem
from tmux_bridge.claude.chat import Chat
from tmux_bridge.claude.state import TranscriptTail
from tmux_bridge.claude.tailing import LineTails


class TranscriptReader:
    """Reads one session's transcripts; a second look costs only what is new.

    Args:
        config: The session's configuration folder of the CLI: nothing outside is opened.
        folder: The session's folder; paths in tool titles are shown relative to it.
    """

    def __init__(self, config: Path, folder: Path | None = None) -> None:
        own = str(folder) if folder is not None else ""
        self._tails = LineTails(config, lambda: Chat(own))

    def read(self, transcripts: Sequence[Path]) -> list[ChatItem]:
        """All that was said and done, oldest first; a transcript that is not there adds nothing."""
        items: list[ChatItem] = []
        for path in transcripts:
            items += self._tails.follow(path).items()
        return items

    def tail(self, transcript: Path) -> TranscriptTail:
        """How the newest turn of a transcript stands."""
        return self._tails.follow(transcript).tail()

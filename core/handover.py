"""Secrets on their way from a front end to the worker: a private file that is read once.

The store keeps every request for good, so a value must never stand in one. It lies in the runtime
folder, which no session sees, and the request holds only the file's name.
"""

from __future__ import annotations

import os
import re
import time
import uuid
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from core.errors import NotFoundError, StorageError
from core.files import make_private_folder, read_regular
from core.redaction import learn

LARGEST_BYTES = 65_536
FORGOTTEN_S = 300.0
"""A pane reads its start file within a second; one that lies for so long is nobody's."""

_NAME = re.compile(r"value-[0-9a-f]{32}")


class Handover:
    """Values by the names of their files below one private folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def leave(self, value: str) -> str:
        """Put the value down; the name under which it is taken.

        Raises:
            StorageError: The folder cannot be used.
        """
        learn(value)
        make_private_folder(self._folder)
        name = f"value-{uuid.uuid4().hex}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            with os.fdopen(os.open(self._folder / name, flags, 0o600), "wb") as file:
                file.write(value.encode())
        except OSError as error:
            self.withdraw(name)
            raise StorageError(
                f"The value cannot be handed to the worker: {error.strerror}.",
                remedy=f"Check free space and rights of {self._folder}, then run it again.",
            ) from error
        return name

    def take(self, name: str) -> str:
        """The value, whose file is gone from now on.

        Raises:
            NotFoundError: It was taken or withdrawn.
        """
        content = None
        if _NAME.fullmatch(name):
            try:
                content = read_regular(self._folder, name, limit=LARGEST_BYTES)
            finally:
                self.withdraw(name)
        if content is None:
            raise NotFoundError(
                "The value that was handed over is gone.", remedy="Give it again.", code="gone"
            )
        value = content.decode()
        learn(value)
        return value

    def withdraw(self, name: str) -> None:
        """Nobody shall take it any more; fine where somebody has."""
        if _NAME.fullmatch(name):
            (self._folder / name).unlink(missing_ok=True)

    def clear(self, wanted: Collection[str]) -> None:
        """Remove what a front end left that was killed before it could ask for it.

        A pane's start file goes too where its pane never came to read it.
        """
        for path in self._folder.glob("value-*"):
            if path.name not in wanted:
                self.withdraw(path.name)
        for path in self._folder.glob("pane-*"):
            with suppress(FileNotFoundError):
                if time.time() - path.lstat().st_mtime > FORGOTTEN_S:
                    path.unlink()

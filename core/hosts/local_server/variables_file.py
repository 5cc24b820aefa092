"""The variables of a local dynamic site: one root of truth, a 0600 file that no pane can reach.

The local host server reads it whenever it starts the site's program, so a value travels by file
and by the program's environment only: never by argv, log, socket or the site's own folders.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from core.clock import wait_for
from core.errors import ConflictError, StorageError
from core.files import make_private_folder, try_lock, write_atomically
from core.redaction import learn

LOCK_DEADLINE_S = 60.0


class VariablesFile:
    """Reads and replaces one session's variables."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> dict[str, str]:
        """Every variable; none where there is no file.

        Raises:
            StorageError: The file is damaged or cannot be read.
        """
        try:
            variables = msgspec.json.decode(self.path.read_bytes(), type=dict[str, str])
        except FileNotFoundError:
            return {}
        except (OSError, msgspec.DecodeError, msgspec.ValidationError) as error:
            raise StorageError(
                f"The variables in {self.path} cannot be read.",
                remedy=f"rm {self.path}, then set them again.",
            ) from error
        learn(*variables.values())
        return variables

    def write(self, variables: Mapping[str, str]) -> None:
        """Replace them all; without any there is no file."""
        if not variables:
            self.path.unlink(missing_ok=True)
            return
        make_private_folder(self.path.parent)
        write_atomically(self.path, msgspec.json.encode(variables, order="sorted"))

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
        self._lock.unlink(missing_ok=True)

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Hold the variables for one change; freed by the system when its process dies.

        Raises:
            ConflictError: Another change held them for a minute.
        """
        make_private_folder(self.path.parent)
        handle = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            if not wait_for(lambda: try_lock(handle), deadline_s=LOCK_DEADLINE_S):
                raise ConflictError(
                    "Another change of the site's variables is still going on.",
                    remedy="Wait for it to end, then try again.",
                )
            yield
        finally:
            os.close(handle)

    @property
    def _lock(self) -> Path:
        return self.path.with_name(f"{self.path.name}.lock")

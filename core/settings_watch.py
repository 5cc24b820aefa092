"""Settings of a process that lives long: read again when one of their files has changed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

from core.config import Settings, load_settings, settings_files
from core.errors import BuilderError

logger = logging.getLogger(__name__)

Stamp = tuple[tuple[int, int, int] | None, ...]


class SettingsWatch:
    """Answers the settings as their files are now; a look costs one stat per file.

    A file that cannot be read is told once in the log, and the last good values stay.

    Args:
        files: Every file that could have a say, whether it exists or not.
        load: Reads all settings anew.
    """

    def __init__(
        self, settings: Settings, files: tuple[Path, ...], load: Callable[[], Settings]
    ) -> None:
        self._settings = settings
        self._files = files
        self._load = load
        self._seen = self.stamp()

    def __call__(self) -> Settings:
        stamp = self.stamp()
        if stamp != self._seen:
            self._seen = stamp
            try:
                self._settings = self._load()
                logger.info("settings read again")
            except BuilderError as error:
                logger.warning("settings kept as they were", extra={"why": error.message})
        return self._settings

    def stamp(self) -> Stamp:
        """What changes when one of the files does."""
        return tuple(_stamp(file) for file in self._files)


def watch_settings(
    settings: Settings, environ: Mapping[str, str], cwd: Path, *, config_file: Path | None,
    untrusted: Path | None,
) -> SettingsWatch:  # fmt: skip
    """Watch what `load_settings` was called with."""
    files = settings_files(environ, cwd, config_file=config_file, untrusted=untrusted)

    def load() -> Settings:
        return load_settings(environ=environ, cwd=cwd, config_file=config_file, untrusted=untrusted)

    return SettingsWatch(settings, files, load)


def _stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        info = file.stat()
    except OSError:
        return None
    return info.st_mtime_ns, info.st_size, info.st_ino

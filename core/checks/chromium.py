"""Which Chromium this computer has, found without starting it and without loading Playwright."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from core.errors import MissingProgramError

REMEDY = "playwright install chromium, or apt-get install chromium"
CONFIGURED = "TMUX_BUILDER_CHROMIUM"
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chromium:
    """A browser to start: a program of the system, or Playwright's own build in `own_builds`."""

    executable: Path | None = None
    own_builds: Path | None = None

    @property
    def label(self) -> str:
        return str(self.executable) if self.executable else "Playwright's own Chromium"

    def folders(self) -> tuple[Path, ...]:
        """What a contained process must see to start it, beyond the system's folders."""
        if self.own_builds:
            return (self.own_builds.resolve(),)
        return (self.executable.resolve().parent,) if self.executable else ()


class _Build(msgspec.Struct):
    """One row of Playwright's list of browsers."""

    name: str
    revision: str


class _Builds(msgspec.Struct):
    browsers: list[_Build]


def find_chromium(environ: Mapping[str, str]) -> Chromium | None:
    """The first browser that looks usable, None where there is none."""
    return next(iter(chromium_candidates(environ)), None)


def chromium_candidates(environ: Mapping[str, str]) -> tuple[Chromium, ...]:
    """In the order to try: Playwright's own build, the configured program, the system's."""
    found: list[Chromium] = []
    if builds := _own_builds(environ):
        found.append(Chromium(own_builds=builds))
    configured = environ.get(CONFIGURED)
    names = (*((configured,) if configured else ()), *PROGRAMS)
    paths = (shutil.which(name, path=environ.get("PATH", "")) for name in names)
    found += [Chromium(executable=Path(path)) for path in dict.fromkeys(paths) if path]
    return tuple(found)


def no_chromium() -> MissingProgramError:
    """Nothing to start."""
    return MissingProgramError("No Chromium was found on this computer.", remedy=REMEDY)


def _own_builds(environ: Mapping[str, str]) -> Path | None:
    """The folder of Playwright's downloads, where the build of this version is complete."""
    spec = importlib.util.find_spec("playwright")
    if spec is None or not spec.origin:
        return None
    package = Path(spec.origin).parent / "driver" / "package"
    try:
        builds = msgspec.json.decode((package / "browsers.json").read_bytes(), type=_Builds)
    except (OSError, msgspec.DecodeError):
        return None
    folder = _downloads(environ, package)
    complete = (
        folder / f"{build.name.replace('-', '_')}-{build.revision}" / "INSTALLATION_COMPLETE"
        for build in builds.browsers
        if build.name == "chromium-headless-shell"
    )
    return folder if any(marker.is_file() for marker in complete) else None


def _downloads(environ: Mapping[str, str], package: Path) -> Path:
    chosen = environ.get("PLAYWRIGHT_BROWSERS_PATH")
    if chosen == "0":
        return package / ".local-browsers"
    if chosen:
        return Path(chosen)
    home = Path(environ.get("HOME") or os.path.expanduser("~"))  # noqa: PTH111 - a text default
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "ms-playwright"
    return Path(environ.get("XDG_CACHE_HOME") or home / ".cache") / "ms-playwright"

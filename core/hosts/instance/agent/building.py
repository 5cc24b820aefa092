"""Making a release ready to start: its Python packages or its Node modules, by the site's user."""

from __future__ import annotations

import asyncio
import hashlib
import re
import shutil
import sys
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from .accounts import give, take_back
from .answering import AgentError
from .place import Place, remove, write_json
from .process import start_process

BUILD_S = 900.0
LAST_LINES = 20
REQUIREMENTS = "requirements.txt"
_PROJECT = re.compile(r"^\[(project|build-system)\]", re.MULTILINE)
_SHARED_LINE = re.compile(r"\s*(#.*|[A-Za-z0-9][A-Za-z0-9._-]*(\[[^\]]*\])?\s*([=<>!~;,#].*)?)?")
_COMPLETE = ".complete"


async def build(place: Place, release_id: str) -> None:
    """Build a release that was just unpacked, unless it is built already.

    Raises:
        AgentError: It cannot be built; ends with what the build printed last.
    """
    if place.built(release_id) is not None:
        return
    site, user = place.site(release_id), place.settings().user
    place.cache.mkdir(mode=0o700, exist_ok=True)
    give(place.cache, user)
    give(site, user)
    try:
        key = await _build_python(place, release_id, site)
        await _build_node(place, site)
    finally:
        take_back(site, user)
    write_json(place.release(release_id) / "built.json", {"environment": key}, mode=0o644)


async def _build_python(place: Place, release_id: str, site: Path) -> str | None:
    """The key of the environment with the site's packages; None where it asks for none."""
    asked = _python_packages(site)
    if asked is None:
        return None
    key = environment_key(site) or release_id
    environment = place.environments / key
    if (environment / _COMPLETE).exists():
        return key
    user = place.settings().user
    remove(environment)
    environment.mkdir(mode=0o755)
    give(environment, user)
    await _run(place, site, [sys.executable, "-m", "venv", str(environment)])
    pip = [str(environment / "bin" / "python"), "-m", "pip", "install"]
    quiet = ["--quiet", "--no-input", "--disable-pip-version-check"]
    await _run(place, site, [*pip, *quiet, *asked])
    take_back(environment, user)
    (environment / _COMPLETE).touch()
    return key


def _python_packages(site: Path) -> list[str] | None:
    if (site / REQUIREMENTS).is_file():
        return ["-r", REQUIREMENTS]
    project = site / "pyproject.toml"
    if project.is_file() and _PROJECT.search(project.read_text(errors="replace")):
        return ["."]
    return None


def environment_key(site: Path) -> str | None:
    """What releases with the same packages have alike; None where a file of the site takes part."""
    try:
        asked = (site / REQUIREMENTS).read_text(encoding="utf-8")
    except (OSError, UnicodeError):
        return None
    lines = asked.splitlines()
    if not all(_SHARED_LINE.fullmatch(line) and "@" not in line for line in lines):
        return None
    if any(line.strip() and (site / line.strip()).exists() for line in lines):
        return None
    return hashlib.sha256(f"{sys.version}\n{asked}".encode()).hexdigest()[:20]


async def _build_node(place: Place, site: Path) -> None:
    if not needs_node(site):
        return
    is_locked = any(
        (site / name).is_file() for name in ("package-lock.json", "npm-shrinkwrap.json")
    )
    command = ["npm", "ci"] if is_locked else ["npm", "install", "--no-package-lock"]
    await _run(place, site, [*command, "--omit=dev", "--no-audit", "--no-fund", "--loglevel=error"])


def needs_node(site: Path) -> bool:
    return (site / "package.json").is_file()


async def _run(place: Place, site: Path, command: Sequence[str]) -> None:
    if shutil.which(command[0]) is None:
        raise AgentError("build_failed", f"The instance has no {command[0]}.")
    last: deque[bytes] = deque(maxlen=64)
    process = await start_process(place, command, folder=site, environment=_environment(place))
    process.read_into(last.append)
    try:
        code = await asyncio.wait_for(process.wait(), BUILD_S)
    except asyncio.TimeoutError:  # noqa: UP041 - two classes before 3.11
        raise AgentError("build_failed", "The build did not end in time.", _lines(last)) from None
    finally:
        await process.stop()
    if code != 0:
        name = Path(command[0]).name
        raise AgentError("build_failed", f"{name} ended with code {code}.", _lines(last))


def _environment(place: Place) -> dict[str, str]:
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
        "HOME": str(place.cache),
        "npm_config_cache": str(place.cache / "npm"),
        "LANG": "C.UTF-8",
        "PIP_NO_COLOR": "1",
    }


def _lines(printed: deque[bytes]) -> tuple[str, ...]:
    lines = b"".join(printed).decode(errors="replace").splitlines()
    return tuple(line.rstrip() for line in lines if line.strip())[-LAST_LINES:]

"""The agent's commands; each but `serve` ends with one JSON line."""

from __future__ import annotations

import argparse
import fcntl
import logging
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .answering import LARGEST_ANSWER_BYTES, AgentError, line_of, refusal
from .fetching import fetch_archive
from .guard import KEY_VARIABLE, keep_guard
from .installing import ensure_node, install
from .place import DEFAULT_ROOT, RELEASE_ID, SCRATCH, Place
from .printed import newest_lines
from .supervisor import serve
from .talking import activate, ask
from .unpacking import require_digest, unpack
from .variables import fetch_variables, stage_variables

logger = logging.getLogger(__name__)

LOCK_S = 60.0
MOST_LINES = 200
_NOT_UNDERSTOOD = AgentError("failed", "The instance's agent does not understand this command.")


def main(arguments: Sequence[str] | None = None) -> int:
    try:
        asked = _parser().parse_args(arguments)
    except SystemExit as error:
        return int(error.code or 0) and _say(refusal(_NOT_UNDERSTOOD))
    place = Place(asked.root)
    os.umask(0o022)
    if asked.command == "serve":
        logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
        serve(place)
        return 0
    return _say(_answer(place, asked), getattr(asked, "bytes", LARGEST_ANSWER_BYTES))


def _say(answer: dict[str, Any], limit: int = LARGEST_ANSWER_BYTES) -> int:
    sys.stdout.write(line_of(answer, limit) + "\n")
    return 0 if answer["ok"] else 1


def _answer(place: Place, asked: argparse.Namespace) -> dict[str, Any]:
    try:
        if asked.command != "install" and not place.is_installed and asked.command in _READERS:
            raise AgentError("not_installed", "The instance serves no site yet.")
        act = _COMMANDS[asked.command]
        if asked.command in _READERS:
            return act(place, asked)
        place.make()
        with _locked(place):
            place.clear_leftovers()
            try:
                return act(place, asked)
            finally:
                place.next_variables.unlink(missing_ok=True)
    except AgentError as error:
        return refusal(error)
    except OSError as error:
        code = "disk_full" if error.errno == 28 else "failed"
        return refusal(AgentError(code, f"{error.filename or 'The instance'}: {error.strerror}."))
    except Exception as error:
        logger.exception("a command failed")
        return refusal(AgentError("failed", f"The agent failed: {error!r}."))


def _install(place: Place, asked: argparse.Namespace) -> dict[str, Any]:
    has_units = install(place, port=asked.port, user=asked.user, start_s=asked.start_seconds)
    said = [] if has_units else ["No units and no user were made: this is no instance's own place."]
    return {"ok": True, "release": place.current(), "units": has_units, "error": None, "log": said}


def _release(place: Place, asked: argparse.Namespace) -> dict[str, Any]:
    install(place)
    _take_variables(place, asked)
    if place.built(asked.id) is None:
        _bring(place, asked)
        ensure_node(place, asked.id)
    answer = activate(place, asked.id)
    place.prune()
    return answer


def _take_variables(place: Place, asked: argparse.Namespace) -> bool:
    """Stage the variables, and keep whom the front answers; whether the former are other ones."""
    found = None if asked.variables is None else fetch_variables(asked.variables)
    key = None if found is None else found.pop(KEY_VARIABLE, None)
    keep_guard(place, asked.guard, key)
    return found is not None and stage_variables(place, found)


def _bring(place: Place, asked: argparse.Namespace) -> None:
    """Put the release's files in their place; one that was half built begins anew."""
    with tempfile.TemporaryDirectory(dir=str(place.releases), prefix=SCRATCH) as folder:
        archive = Path(folder) / "archive"
        fetch_archive(asked.source, archive, asked.size)
        require_digest(archive, asked.sha256, asked.size)
        unpack(place, asked.id, archive)


def _rollback(place: Place, asked: argparse.Namespace) -> dict[str, Any]:
    install(place)
    if place.built(asked.id) is None:
        raise AgentError("no_release", f"The instance does not keep release {asked.id}.")
    return activate(place, asked.id)


def _variables(place: Place, asked: argparse.Namespace) -> dict[str, Any]:
    install(place)
    changed = _take_variables(place, asked)
    current = place.current()
    if current is None:
        if changed:
            place.next_variables.replace(place.variables)
        return {"ok": True, "release": None, "changed": changed, "error": None, "log": []}
    return activate(place, current)


def _status(place: Place, _asked: argparse.Namespace) -> dict[str, Any]:
    try:
        return ask(place, {"do": "status"})
    except OSError:
        said = ["The agent does not serve."]
        return {"ok": True, "release": place.current(), "app": "down", "error": None, "log": said}


def _log(place: Place, asked: argparse.Namespace) -> dict[str, Any]:
    lines = newest_lines(place.log, max(1, min(asked.lines, MOST_LINES)))
    return {**_status(place, asked), "log": lines}


_READERS = ("status", "log")
_COMMANDS = {
    "install": _install,
    "release": _release,
    "rollback": _rollback,
    "variables": _variables,
    "status": _status,
    "log": _log,
}


@contextmanager
def _locked(place: Place) -> Iterator[None]:
    """Hold the instance for one command; freed by the system when it dies.

    Raises:
        AgentError: Another command held it for a minute.
    """
    handle = os.open(str(place.lock), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        ends = time.monotonic() + LOCK_S
        while not _try_lock(handle):
            if time.monotonic() > ends:
                raise AgentError("busy", "Another command is still at work on the instance.")
            time.sleep(0.1)
        yield
    finally:
        os.close(handle)


def _try_lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="agent.pyz")
    parser.add_argument("--root", type=_root, default=DEFAULT_ROOT)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("serve", help="own the public port and the site's program")
    installing = commands.add_parser("install", help="make folders, user and units")
    installing.add_argument("--port", type=int)
    installing.add_argument("--user")
    installing.add_argument("--start-seconds", type=float)
    release = commands.add_parser("release", help="fetch, build, prove and serve a release")
    release.add_argument("--id", type=_release_id, required=True)
    release.add_argument("--sha256", required=True)
    release.add_argument("--size", type=int, required=True)
    release.add_argument("--source", required=True)
    release.add_argument("--variables")
    release.add_argument("--guard")
    rollback = commands.add_parser("rollback", help="serve a release that is kept here")
    rollback.add_argument("--id", type=_release_id, required=True)
    variables = commands.add_parser("variables", help="fetch the variables and hand them on")
    variables.add_argument("--variables", required=True)
    variables.add_argument("--guard")
    commands.add_parser("status", help="what is served")
    log = commands.add_parser("log", help="the program's newest lines")
    log.add_argument("--lines", type=int, default=50)
    log.add_argument("--bytes", type=int, default=LARGEST_ANSWER_BYTES)
    return parser


def _root(value: str) -> Path:
    if not value.startswith("/"):
        raise argparse.ArgumentTypeError("the root is an absolute path")
    return Path(value)


def _release_id(value: str) -> str:
    if not RELEASE_ID.fullmatch(value):
        raise argparse.ArgumentTypeError("no release's id")
    return value

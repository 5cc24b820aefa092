"""The texts that a cloud runs on an instance, and the agent's answer as values. Pure functions.

    instance = Instance(store_url="s3://bucket", region="eu-central-1",
                        variables="ssm:/tmux-builder/<name>")
    instance = Instance(store_url="https://account.blob.core.windows.net/container",
                        variables="keyvault:https://name.vault.azure.net")

    user_data()                          EC2 UserData, Azure customData: the same for every site
    release_command(instance, archive)   fetch, build, start beside, switch; no-op if it is served
    rollback_command(instance, release_id)   a release that the instance still keeps
    variables_command(instance)          fetch the variables; a change starts the program anew
    status_command(instance), log_command(instance, lines)   read only
    answer_of(printed)                   what the command printed -> AgentAnswer, or an error

Before a release or variables command, `agent_program().content` must lie under
`agent_program().key` in the store, and the archive under `archive.key`: the command brings the
agent up to date by its sha256 and then calls it. The text is a POSIX shell script of one shape:
every value is checked against its own pattern and stands in single quotes; no variable's value is
ever in it. It holds no `{{`, which SSM would take for a parameter of its own.

User data does not depend on the site. A version with another text leaves instances as they are:
`start_digest` is a tag of each, and drift tells those that were started with a former one.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import msgspec

from core.errors import (
    AnswerIsNoError,
    BuilderError,
    CloudRefusedError,
    CloudUnreachableError,
    ConflictError,
    NotFoundError,
    StorageError,
)
from core.hosts.instance.agent_program import agent_program
from core.hosts.instance.archive import ReleaseArchive

ROOT = "/opt/tmux-builder"
RELEASE_TIMEOUT_S = 1200
"""What a cloud's command may take: installing Node and the site's packages included."""
READ_TIMEOUT_S = 60
MOST_LINES = 200
LARGEST_USER_DATA_BYTES = 16 * 1024
"""EC2; Azure takes four times that."""

_START_CHARS = 12
_LONG_ANSWER_BYTES = 20_000
"""SSM shows the first 24,000 characters of a command's output."""
_SHORT_ANSWER_BYTES = 3400
"""Azure shows the last 4 kB."""
_TEXTS = Path(__file__).parent
_END = "TMUX_BUILDER_END"
_PATTERNS = {
    "store_url": re.compile(
        r"s3://[a-z0-9][a-z0-9-]{1,61}[a-z0-9]"
        r"|https://[a-z0-9][a-z0-9.-]{0,250}(?::[0-9]{2,5})?(?:/[a-z0-9$-]{1,63}){1,2}"
    ),
    "variables": re.compile(
        r"ssm:(?:/[A-Za-z0-9_.-]{1,200}){1,10}"
        r"|keyvault:https://[A-Za-z0-9][A-Za-z0-9.-]{0,250}(?::[0-9]{2,5})?"
    ),
    "guard": re.compile(r"open|key|front-door:[0-9a-f-]{36}"),
    "region": re.compile(r"[a-z0-9-]{3,40}"),
    "root": re.compile(r"(?:/[A-Za-z0-9_.-]{1,100}){1,12}"),
    "release_id": re.compile(r"[0-9a-f]{8,64}"),
    "sha256": re.compile(r"[0-9a-f]{64}"),
    "word": re.compile(r"[A-Za-z0-9_./:$-]{1,600}"),
}


OPEN = "open"
BY_KEY = "key"
"""The instance's guard: who shows the key that lies beside the variables is answered."""


def by_front_door(profile_guid: str) -> str:
    """The instance's guard: only requests of that Front Door profile are answered."""
    return f"front-door:{profile_guid.lower()}"


class AppState(StrEnum):
    """The site's program as the agent sees it."""

    NONE = "none"
    STARTING = "starting"
    RUNNING = "running"
    DOWN = "down"


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """How a site's instance reaches what the product keeps for it.

    Attributes:
        store_url: Bucket or container that holds agent and archives, without a slash at its end.
        variables: The facility of the site's variables; None where it has none.
        region: The AWS region; None on Azure.
        guard: Whom its public port answers: `OPEN`, `BY_KEY` or `by_front_door`; None where that
            stays as it is.
        root: Where the agent lives on the instance.

    Raises:
        ValueError: A value has not the form of its kind.
    """

    store_url: str
    variables: str | None = None
    region: str | None = None
    guard: str | None = None
    root: str = ROOT

    def __post_init__(self) -> None:
        _checked("store_url", self.store_url)
        _checked("root", self.root)
        for name in ("variables", "region", "guard"):
            if (value := getattr(self, name)) is not None:
                _checked(name, value)

    def url_of(self, key: str) -> str:
        """The address of an object, as the agent takes it."""
        return f"{self.store_url}/{key}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentAnswer:
    """What an instance said about its site.

    Attributes:
        release_id: The release that it serves; None before the first.
        changed: Whether this command changed what is served.
        restarts: How often the program was started again since the agent came up.
        variables: How many variables the program got; their names are the facility's to tell.
        guard: Whom the public port answers: `open`, `key` or `front-door`.
        log: The program's newest lines.
        agent_sha256: Of the agent that serves; None where it does not.
    """

    release_id: str | None
    app: AppState
    changed: bool
    restarts: int
    variables: int
    guard: str
    log: tuple[str, ...]
    agent_sha256: str | None


def user_data() -> str:
    """What cloud-init runs once: Python, no SSH, unattended upgrades; the agent comes later."""
    return _text("user_data.sh")


def start_digest() -> str:
    """Tells an instance that was started with another text; it is kept with what it has."""
    return hashlib.sha256(user_data().encode()).hexdigest()[:_START_CHARS]


def release_command(instance: Instance, archive: ReleaseArchive) -> str:
    """Serve this release; repeatable, and a no-op where it is served with the same variables.

    Raises:
        ValueError: A value has not the form of its kind.
    """
    words = [
        "release", "--id", _checked("release_id", archive.release_id),
        "--sha256", _checked("sha256", archive.sha256), "--size", str(int(archive.size_bytes)),
        "--source", instance.url_of(archive.key), *_variables(instance),
    ]  # fmt: skip
    return _command(instance, words, updates=True)


def rollback_command(instance: Instance, release_id: str) -> str:
    """Serve a former release that the instance keeps (the newest ten); no fetch, no build."""
    words = ["rollback", "--id", _checked("release_id", release_id)]
    return _command(instance, words, updates=True)


def variables_command(instance: Instance) -> str:
    """Fetch the variables; where they changed, a new program is proven before the old one ends."""
    return _command(instance, ["variables", *_variables(instance)], updates=True)


def status_command(instance: Instance) -> str:
    return _command(instance, ["status"], updates=False)


def log_command(instance: Instance, lines: int) -> str:
    """The program's newest lines, as many as fit into an answer."""
    room = _SHORT_ANSWER_BYTES if instance.region is None else _LONG_ANSWER_BYTES
    wanted = str(max(1, min(int(lines), MOST_LINES)))
    words = ["log", "--lines", wanted, "--bytes", str(room)]
    return _command(instance, words, updates=False)


def answer_of(printed: str) -> AgentAnswer:
    """The agent's answer: the last line of what the command printed.

    Raises:
        AnswerIsNoError: The release did not build (`build_failed`) or its program did not start
            (`app_not_started`); the former one is served on, the sentence ends with its lines.
        NotFoundError: The instance does not keep that release (`no_release`), or has no agent yet.
        ConflictError: Another command holds the instance.
        CloudRefusedError, CloudUnreachableError: The instance could not fetch from the store.
        StorageError: The archive is damaged or refused, or the instance's disk is full.
        BuilderError: It said something else, or nothing that could be read.
    """
    answer = _decoded(printed)
    if answer.ok:
        return AgentAnswer(
            release_id=answer.release, app=answer.app, changed=answer.changed,
            restarts=answer.restarts, variables=answer.variables, guard=answer.guard,
            log=tuple(answer.log), agent_sha256=answer.agent,
        )  # fmt: skip
    raise _error_of(answer)


class _Problem(msgspec.Struct, frozen=True):
    code: str
    message: str


class _Answer(msgspec.Struct, frozen=True, kw_only=True):
    ok: bool
    release: str | None = None
    app: AppState = AppState.NONE
    changed: bool = False
    restarts: int = 0
    variables: int = 0
    guard: str = OPEN
    log: list[str] = []
    agent: str | None = None
    error: _Problem | None = None


_KINDS: dict[str, tuple[type[BuilderError], str]] = {
    "app_not_started": (
        AnswerIsNoError,
        "Correct the web: line of source/Procfile or the program, then deploy again.",
    ),
    "build_failed": (
        AnswerIsNoError,
        "Correct the site's requirements or package files, then deploy again.",
    ),
    "empty_source": (
        AnswerIsNoError,
        "Add source/Procfile with a line such as 'web: python app.py'.",
    ),
    "no_release": (NotFoundError, "Deploy the release again instead of rolling back on the spot."),
    "not_installed": (NotFoundError, "Deploy the site; the first deploy installs the agent."),
    "no_origin_key": (NotFoundError, "Deploy again; the key is made anew."),
    "busy": (ConflictError, "Wait for the other command on the instance, then try again."),
    "cancelled": (ConflictError, "Deploy again."),
    "fetch_refused": (
        CloudRefusedError,
        "Check the rights of the instance's role or identity, then deploy again.",
    ),
    "fetch_failed": (
        CloudUnreachableError,
        "Deploy again; the instance could not reach the store.",
    ),
    "archive_refused": (StorageError, "Deploy again; the archive is put into the store anew."),
    "disk_full": (StorageError, "Give the instance a larger disk, or destroy and deploy again."),
}


def _error_of(answer: _Answer) -> BuilderError:
    problem = answer.error or _Problem("failed", "The instance said no without a reason.")
    kind, remedy = _KINDS.get(
        problem.code, (BuilderError, "Read the site's log, then deploy the site again.")
    )
    said = " | ".join(line.strip() for line in answer.log if line.strip())
    message = f"{problem.message} It said: {said}" if said else problem.message
    return kind(message, remedy=remedy, code=problem.code)


def _decoded(printed: str) -> _Answer:
    lines = [line for line in printed.splitlines() if line.strip()]
    try:
        return msgspec.json.decode(lines[-1] if lines else "", type=_Answer)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        last = lines[-1].strip()[:300] if lines else "nothing"
        raise BuilderError(
            f"The instance's answer cannot be read. It said: {last}",
            remedy="Deploy again; if it stays so, destroy the site and deploy it anew.",
            code="instance_unreadable",
        ) from error


def _variables(instance: Instance) -> list[str]:
    named = {"--variables": instance.variables, "--guard": instance.guard}
    return [word for pair in named.items() if pair[1] is not None for word in map(str, pair)]


def _command(instance: Instance, words: Sequence[str], *, updates: bool) -> str:
    """Values in single quotes, then the bootstrap, which Python reads from a here-document."""
    program = agent_program()
    update = [instance.url_of(program.key), program.sha256] if updates else ["-", "-"]
    arguments = [instance.root, instance.region or "-", *update, *words]
    quoted = " ".join(f"'{_checked('word', word)}'" for word in arguments)
    missing = json.dumps(
        {"ok": False, "error": {"code": "not_installed", "message": "There is no Python yet."}}
    )
    return (
        "#!/bin/sh\n"
        f"command -v python3 >/dev/null || {{ printf '%s\\n' '{missing}'; exit 1; }}\n"
        f"exec python3 - {quoted} <<'{_END}'\n{_text('bootstrap.py')}\n{_END}\n"
    )


def _text(name: str) -> str:
    return (_TEXTS / name).read_text(encoding="utf-8")


def _checked(kind: str, value: str) -> str:
    if not _PATTERNS[kind].fullmatch(value):
        raise ValueError(f"{value[:100]!r} cannot be the {kind} of a command")
    return value

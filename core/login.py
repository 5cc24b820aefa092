"""What Claude is logged in with: a token of the environment, or the one that is kept in a file.

An interactive login of the operator is never handed on. It holds a refresh token, which every
session would renew under the others and under the operator.
"""

from __future__ import annotations

import os
import re
import shlex
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from core.errors import LoginNeededError, StorageError, UsageError
from core.files import write_atomically
from core.paths import config_folder
from core.redaction import learn

FILE_NAME = "claude-token"
LARGEST_BYTES = 16_384
MAKE_TOKEN = "`claude setup-token`, then `tmux-builder login`"  # noqa: S105 - two commands
"""The way from an interactive login, or from none, to a token. No program takes it for one."""

_VALUE = re.compile(r"[\x21-\x7e]{8,8192}")


class LoginKind(StrEnum):
    """What a token is, which decides the variable that it travels in."""

    API_KEY = "api-key"
    OAUTH_TOKEN = "oauth-token"  # noqa: S105 - a name, not a secret
    AUTH_TOKEN = "auth-token"  # noqa: S105 - the same

    @property
    def variable(self) -> str:
        return _VARIABLES[self]


_VARIABLES: Mapping[LoginKind, str] = {
    LoginKind.API_KEY: "ANTHROPIC_API_KEY",
    LoginKind.AUTH_TOKEN: "ANTHROPIC_AUTH_TOKEN",
    LoginKind.OAUTH_TOKEN: "CLAUDE_CODE_OAUTH_TOKEN",
}
_PREFIXES = {"sk-ant-api": LoginKind.API_KEY, "sk-ant-oat": LoginKind.OAUTH_TOKEN}

TOKENS = tuple(_VARIABLES.values())
"""Variables whose value is a token."""

CREDENTIALS = (*TOKENS, "AWS_BEARER_TOKEN_BEDROCK")
"""Variables that are a login by themselves."""

PROVIDERS = ("CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_VERTEX", "CLAUDE_CODE_USE_FOUNDRY")
"""Variables that send Claude to a cloud with a login of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A stored token. Its value is in no text that this makes of itself."""

    kind: LoginKind
    value: str = field(repr=False)


def kind_of(value: str) -> LoginKind | None:
    """The kind that a token's first letters tell, None where they do not."""
    found = (kind for prefix, kind in _PREFIXES.items() if value.startswith(prefix))
    return next(found, None)


def environment_login(environ: Mapping[str, str]) -> str | None:
    """The variable by which the environment logs Claude in, None where it does not."""
    return next((name for name in (*CREDENTIALS, *PROVIDERS) if environ.get(name)), None)


def stored_in(environ: Mapping[str, str]) -> Path:
    """Where the account's token is kept."""
    return config_folder(environ) / FILE_NAME


def read_login(environ: Mapping[str, str]) -> Login | None:
    """The stored token, None where none is stored.

    Raises:
        LoginNeededError: The file could be read or written by others, is a link, belongs to
            somebody else, or holds no token.
    """
    path = stored_in(environ)
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        if path.is_symlink():
            raise _refused(path, "is a link", _again(path)) from error
        reason = f"cannot be read ({error.strerror})"
        raise _refused(path, reason, f"ls -l {shlex.quote(str(path))}") from error
    try:
        _require_private(path, os.fstat(handle))
        content = os.read(handle, LARGEST_BYTES + 1)
    finally:
        os.close(handle)
    login = _decoded(content)
    if login is None:
        raise _refused(path, "holds no token", _again(path))
    learn(login.value)
    return login


def store_login(environ: Mapping[str, str], value: str, kind: LoginKind | None = None) -> Login:
    """Keep a token for every session that starts from now on, in place of the former one.

    Args:
        value: The token; white space around it is dropped.
        kind: What it is, where its first letters do not tell.

    Raises:
        UsageError: It is no token, or its kind is neither said nor told.
        StorageError: The file cannot be written.
    """
    value = value.strip()
    if not _VALUE.fullmatch(value):
        raise UsageError(
            "This is no token: one is a single word of 8 to 8192 plain letters.",
            remedy="Give the token alone, as it was printed, on stdin.",
            code="invalid_token",
        )
    learn(value)
    told = kind or kind_of(value)
    if told is None:
        raise UsageError(
            "The token does not tell what it is.",
            remedy=f"Say it with --kind: {', '.join(LoginKind)}.",
            code="unknown_kind",
        )
    path = stored_in(environ)
    _make_folder(path.parent)
    write_atomically(path, f"{told.variable}={value}\n".encode())
    return Login(kind=told, value=value)


def remove_login(environ: Mapping[str, str]) -> bool:
    """Forget the stored token, however it lies there; whether there was one.

    Raises:
        StorageError: It cannot be removed.
    """
    path = stored_in(environ)
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise StorageError(
            f"{path} cannot be removed: {error.strerror}.",
            remedy=f"rm -r {shlex.quote(str(path))}",
        ) from error
    return True


def claude_credentials(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that log a session's Claude in; the environment wins over the stored token.

    Returns:
        Tokens by the variable in which they travel. None for a cloud with a login of its own.

    Raises:
        LoginNeededError: There is neither, or the stored one is not to be trusted.
    """
    found = {name: environ[name] for name in CREDENTIALS if environ.get(name)}
    if found or environment_login(environ) is not None:
        return found
    login = read_login(environ)
    if login is None:
        raise no_token(environ)
    return {login.kind.variable: login.value}


def has_interactive_login(environ: Mapping[str, str]) -> bool:
    """Whether the operator's own Claude is logged in by a file; a key chain is not looked at."""
    chosen = environ.get("CLAUDE_CONFIG_DIR")
    home = Path(environ.get("HOME") or "/nonexistent")
    folder = Path(chosen) if chosen else home / ".claude"
    return (folder / ".credentials.json").is_file()


def no_token(environ: Mapping[str, str]) -> LoginNeededError:
    """Why no session's Claude can start, in words."""
    if has_interactive_login(environ):
        return LoginNeededError(
            "Claude cannot start: your own login is interactive and is not handed to sessions.",
            remedy=f"Make a token for them: {MAKE_TOKEN}.",
        )
    return LoginNeededError(
        "Claude is not logged in: there is neither a token in the environment nor a stored one.",
        remedy=f"{MAKE_TOKEN}, or export ANTHROPIC_API_KEY.",
    )


def _decoded(content: bytes) -> Login | None:
    """`NAME=VALUE` on one line, the name being one of the three variables."""
    if len(content) > LARGEST_BYTES:
        return None
    name, _, value = content.decode("utf-8", "replace").strip().partition("=")
    kind = next((one for one in LoginKind if one.variable == name), None)
    return Login(kind=kind, value=value) if kind and _VALUE.fullmatch(value) else None


def _require_private(path: Path, info: os.stat_result) -> None:
    if not stat.S_ISREG(info.st_mode):
        raise _refused(path, "is no regular file", _again(path))
    if info.st_uid != os.geteuid():
        raise _refused(path, "belongs to another account", _again(path))
    mode = stat.S_IMODE(info.st_mode)
    if mode & 0o077:
        reason = f"can be read or changed by others ({mode:04o})"
        raise _refused(path, reason, f"chmod 600 {shlex.quote(str(path))}")


def _refused(path: Path, reason: str, remedy: str) -> LoginNeededError:
    return LoginNeededError(
        f"The stored token {path} {reason}, so it is not used.", remedy=remedy, code="login_refused"
    )


def _again(path: Path) -> str:
    return f"`rm -r {shlex.quote(str(path))}`, then `tmux-builder login`"


def _make_folder(folder: Path) -> None:
    """The account's folder may be open to others for its settings; the token's file is not."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"The folder {folder} cannot be created: {error.strerror}.",
            remedy="Free the place, or choose another with XDG_CONFIG_HOME.",
        ) from error

"""obstore's errors as ours: what failed on which store, and what the operator does next."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from core.errors import (
    BuilderError,
    CloudRefusedError,
    CloudUnreachableError,
    LoginNeededError,
)

_CODE = re.compile(r"<Code>([A-Za-z0-9]{1,80})</Code>")
_NO_STORE = ("NoSuchBucket", "ContainerNotFound")
_NO_RIGHT = ("AccessDenied", "AuthorizationFailure", "AuthorizationPermissionMismatch")
"""Listings are refused with these codes, which obstore gives no class of their own."""


class CredentialWatch:
    """Gives obstore credentials and remembers why there were none: obstore only says that."""

    def __init__(self, current: Callable[[], Any]) -> None:
        self._current = current
        self.failure: Exception | None = None

    def __call__(self) -> Any:
        try:
            credentials = self._current()
        except Exception as error:
            self.failure = error
            raise
        self.failure = None
        return credentials


@contextmanager
def object_errors(doing: str, where: str, watch: CredentialWatch) -> Iterator[None]:
    """Translate what obstore raises inside; ours pass through.

    Raises:
        LoginNeededError: There are no credentials, or the store does not know them.
        CloudRefusedError: No right (code `access_denied`), no such bucket or container
            (`store_missing`), or an object that cannot be handled (`foreign_object`).
        CloudUnreachableError: It did not answer, or answered with a fault, until the retries
            were used up.
    """
    from obstore.exceptions import BaseError  # noqa: PLC0415 - heavy, on use only

    try:
        yield
    except (BaseError, FileNotFoundError, ValueError) as error:
        if watch.failure is not None:
            raise _login(where, watch.failure) from watch.failure
        raise _translated(error, doing, where) from error


def _login(where: str, failure: Exception) -> BuilderError:
    if isinstance(failure, BuilderError):
        return failure
    return LoginNeededError(
        f"There is no usable login for the {where}: {_sentence(failure)}.",
        remedy="Log in again (aws sso login, or az login), then run the same command again.",
    )


def _translated(error: Exception, doing: str, where: str) -> BuilderError:
    from obstore import exceptions as known  # noqa: PLC0415 - heavy, on use only

    said = _sentence(error)
    if isinstance(error, known.UnauthenticatedError):
        return LoginNeededError(
            f"The {where} does not accept the login ({said}).",
            remedy="Log in again (aws sso login, or az login), then run the same command again.",
        )
    if isinstance(error, known.PermissionDeniedError) or said in _NO_RIGHT:
        return CloudRefusedError(
            f"No right to {doing} the {where} ({said}).",
            remedy="Give the login the rights that tmux-builder doctor --policy aws|azure prints.",
            code="access_denied",
        )
    if isinstance(error, FileNotFoundError) or said in _NO_STORE:
        return CloudRefusedError(
            f"The {where} is not there any more ({said}).",
            remedy="Deploy again: what is missing is made anew.",
            code="store_missing",
        )
    if isinstance(error, known.InvalidPathError | ValueError):
        return CloudRefusedError(
            f"The {where} holds an object whose name cannot be handled: {said}.",
            remedy="Delete that object in the cloud's own console, then run it again.",
            code="foreign_object",
        )
    return CloudUnreachableError(
        f"It was not possible to {doing} the {where}: {said}.",
        remedy="Run the same command again; what is there already is not sent twice.",
    )


def _sentence(error: Exception) -> str:
    """The service's own code where there is one, else the first line."""
    text = str(error).partition("\n\nDebug source")[0]
    found = _CODE.search(text)
    return found.group(1) if found else " ".join(text.split())[:300].rstrip(".")

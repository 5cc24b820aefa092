"""botocore's errors as ours: what failed, and what the operator does next."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from core.errors import (
    BuilderError,
    CloudRefusedError,
    CloudUnreachableError,
    LimitReachedError,
    LoginNeededError,
)

_LOGIN = frozenset(
    {
        "AuthFailure",
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_RATE = frozenset(
    {
        "RequestLimitExceeded",
        "RequestThrottled",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
_RIGHTS = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "AuthorizationError",
        "UnauthorizedOperation",
    }
)


def error_code(error: BaseException) -> str:
    """The service's own code, such as `NoSuchBucket`; empty for errors without one."""
    response = getattr(error, "response", None)
    if not isinstance(response, dict):
        return ""
    return str(response.get("Error", {}).get("Code", ""))


def http_status(error: BaseException) -> int:
    """The HTTP status of a service's answer, 0 where none came."""
    response = getattr(error, "response", None)
    if not isinstance(response, dict):
        return 0
    return int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


@contextmanager
def aws_errors(doing: str, profile: str) -> Iterator[None]:
    """Translate what botocore raises inside; ours pass through.

    Args:
        doing: The act, as in `AWS could not {doing}`.
    """
    try:
        yield
    except BuilderError:
        raise
    except Exception as error:
        translated = _translated(error, doing, profile)
        if translated is None:
            raise
        raise translated from error


def _translated(error: Exception, doing: str, profile: str) -> BuilderError | None:
    from botocore import exceptions as known  # noqa: PLC0415 - heavy, on use only
    from botocore.parsers import ResponseParserError  # noqa: PLC0415 - heavy, on use only

    if isinstance(error, known.ClientError):
        return _service_error(error, doing, profile)
    logins = (
        known.ProfileNotFound, known.NoCredentialsError, known.PartialCredentialsError,
        known.CredentialRetrievalError, known.TokenRetrievalError, known.SSOError,
        known.NoAuthTokenError,
    )  # fmt: skip
    if isinstance(error, logins):
        return LoginNeededError(
            f"The AWS profile {profile!r} has no usable login: {_sentence(error)}.",
            remedy=_login(profile),
        )
    if isinstance(error, known.WaiterError):
        return CloudUnreachableError(
            f"AWS did not {doing} in time: {_sentence(error)}.",
            remedy="What was begun goes on there; run the same command again.",
        )
    if isinstance(error, known.HTTPClientError | known.BotoCoreError | ResponseParserError):
        return CloudUnreachableError(
            f"AWS could not be reached to {doing}: {_sentence(error)}.",
            remedy="Check the network, then run the same command again.",
        )
    return None


def _service_error(error: Exception, doing: str, profile: str) -> BuilderError:
    code, said = error_code(error), _sentence(error)
    if code in _LOGIN:
        return LoginNeededError(
            f"AWS does not accept the login of profile {profile!r} ({code}).",
            remedy=_login(profile),
        )
    if code in _RATE or http_status(error) == 429:
        return LimitReachedError(
            f"AWS limits the rate of requests ({code}), so it could not {doing}.",
            remedy="Run the same command again in a minute.",
            code="rate_limited",
        )
    if http_status(error) >= 500:
        return CloudUnreachableError(
            f"AWS failed to {doing} ({code}).", remedy="Run the same command again."
        )
    if code in _RIGHTS:
        return CloudRefusedError(
            f"AWS refused to {doing} ({code}): {said}.",
            remedy="Give the profile the rights that tmux-builder doctor --policy aws prints.",
            code="access_denied",
        )
    return CloudRefusedError(
        f"AWS refused to {doing} ({code}): {said}.",
        remedy="Change what the sentence names, then run the same command again.",
    )


def _login(profile: str) -> str:
    return f"aws configure --profile {profile} (or aws sso login --profile {profile})"


def _sentence(error: Exception) -> str:
    response = getattr(error, "response", None)
    text = str(error)
    if isinstance(response, dict):
        text = str(response.get("Error", {}).get("Message", "")) or text
    return " ".join(text.split())[:300].rstrip(".")

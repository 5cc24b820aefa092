"""The Azure SDKs' errors as ours: what failed, and what the operator does next."""

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

_RATE = frozenset({"TooManyRequests", "SubscriptionRequestsThrottled", "ServerBusy"})
_RIGHTS = frozenset(
    {
        "AuthorizationFailed",
        "AuthorizationPermissionMismatch",
        "LinkedAuthorizationFailed",
        "InsufficientAccountPermissions",
    }
)
_NO_SUBSCRIPTION = frozenset({"SubscriptionNotFound", "InvalidSubscriptionId"})
_QUOTA = frozenset({"QuotaExceeded", "MaxStorageAccountsCountPerSubscriptionExceeded"})


def error_code(error: BaseException) -> str:
    """The service's own code, such as `ResourceGroupNotFound`; empty for errors without one."""
    inner = getattr(error, "error", None)
    code = getattr(inner, "code", None) or getattr(error, "error_code", None)
    return "" if code is None else str(getattr(code, "value", code))


def http_status(error: BaseException) -> int:
    """The HTTP status of a service's answer, 0 where none came."""
    status = getattr(error, "status_code", None)
    return status if isinstance(status, int) else 0


@contextmanager
def azure_errors(doing: str, subscription: str) -> Iterator[None]:
    """Translate what the Azure SDKs raise inside; ours pass through.

    Args:
        doing: The act, as in `Azure could not {doing}`.
    """
    try:
        yield
    except BuilderError:
        raise
    except Exception as error:
        translated = _translated(error, doing, subscription)
        if translated is None:
            raise
        raise translated from error


def _translated(error: Exception, doing: str, subscription: str) -> BuilderError | None:
    from azure.core import exceptions as known  # noqa: PLC0415 - heavy, on use only

    if isinstance(error, known.ClientAuthenticationError):
        return LoginNeededError(
            f"Azure has no usable login for the subscription {subscription!r}: {_sentence(error)}.",
            remedy=login_command(subscription),
        )
    if isinstance(error, known.HttpResponseError):
        return _service_error(error, doing, subscription)
    if isinstance(error, known.AzureError):
        return CloudUnreachableError(
            f"Azure could not be reached to {doing}: {_sentence(error)}.",
            remedy="Check the network, then run the same command again.",
        )
    return None


def _service_error(error: Exception, doing: str, subscription: str) -> BuilderError:
    code, status = error_code(error), http_status(error)
    if code in _NO_SUBSCRIPTION:
        return LoginNeededError(
            f"The Azure login does not see the subscription {subscription!r} ({code}).",
            remedy=login_command(subscription),
            code="subscription_not_found",
        )
    if code in _RATE or status == 429:
        return LimitReachedError(
            f"Azure limits the rate of requests ({code or status}), so it could not {doing}.",
            remedy="Run the same command again in a minute.",
            code="rate_limited",
        )
    if status >= 500 or status == 408:
        return CloudUnreachableError(
            f"Azure failed to {doing} ({code or status}).", remedy="Run the same command again."
        )
    return _refusal(error, doing, code or str(status))


def _refusal(error: Exception, doing: str, code: str) -> CloudRefusedError:
    message = f"Azure refused to {doing} ({code}): {_sentence(error)}."
    if code in _RIGHTS:
        return CloudRefusedError(
            message,
            remedy="Give the login the rights that tmux-builder doctor --policy azure prints.",
            code="access_denied",
        )
    if code in _QUOTA:
        return CloudRefusedError(
            message, remedy="Ask Azure for a higher quota, or destroy what is no longer needed."
        )
    return CloudRefusedError(
        message, remedy="Change what the sentence names, then run the same command again."
    )


def login_command(subscription: str) -> str:
    """How the operator gets a login that sees the subscription."""
    return f"az login, then az account set --subscription {subscription!r}"


def _sentence(error: Exception) -> str:
    inner = getattr(error, "error", None)
    text = str(getattr(inner, "message", None) or getattr(error, "message", None) or error)
    return " ".join(text.split())[:300].rstrip(".")

"""Azure's metadata service: a token of the instance's own identity. Tokens never leave memory."""

from __future__ import annotations

import http.client
import json
import os
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

from .answering import AgentError

IMDS = "http://169.254.169.254"
TIMEOUT_S = 30
_LARGEST_ANSWER_BYTES = 4 * 1024 * 1024


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A token goes to the address that it was meant for."""

    def redirect_request(self, *_arguments: object, **_named: object) -> None:
        return None


def token_for(resource: str) -> str:
    """An access token for an Azure service.

    Raises:
        AgentError: The instance has no identity, or its metadata service does not answer.
    """
    query = urllib.parse.urlencode({"api-version": "2018-02-01", "resource": resource})
    base = os.environ.get("TMUX_BUILDER_IMDS", IMDS)
    url = f"{base}/metadata/identity/oauth2/token?{query}"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect)
    request = urllib.request.Request(url, headers={"Metadata": "true"})  # noqa: S310 - always http
    try:
        with opener.open(request, timeout=TIMEOUT_S) as answer:
            return str(json.loads(answer.read(_LARGEST_ANSWER_BYTES))["access_token"])
    except (OSError, ValueError, KeyError, http.client.HTTPException) as error:
        raise AgentError("fetch_failed", f"The instance gets no token: {error}") from error


def open_with_token(url: str, resource: str, headers: dict[str, str]) -> Any:
    """The open answer of a GET with the instance's token; the caller reads and closes it.

    Raises:
        AgentError: It was refused, or there is no answer.
    """
    if not url.startswith("https://"):
        raise AgentError("fetch_refused", "A token is sent over https only.")
    signed = {**headers, "Authorization": f"Bearer {token_for(resource)}"}
    request = urllib.request.Request(url, headers=signed)  # noqa: S310 - https, see above
    place = url.partition("?")[0]
    try:
        return urllib.request.build_opener(_NoRedirect).open(request, timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        error.close()
        code = "fetch_refused" if error.code in (401, 403) else "fetch_failed"
        raise AgentError(code, f"{place} answered {error.code}.") from error
    except (OSError, http.client.HTTPException) as error:
        raise AgentError("fetch_failed", f"{place} does not answer: {error}") from error


def json_with_token(url: str, resource: str) -> dict[str, Any]:
    """The JSON object that a GET answers.

    Raises:
        AgentError: As for `open_with_token`, or it is no object.
    """
    with open_with_token(url, resource, {}) as answer:
        try:
            found = json.loads(answer.read(_LARGEST_ANSWER_BYTES))
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise AgentError("fetch_failed", "A service's answer is no JSON.") from error
    if not isinstance(found, dict):
        raise AgentError("fetch_failed", "A service's answer is no object.")
    return found

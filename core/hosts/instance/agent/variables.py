"""A site's variables from their facility. Values are in memory and in one root-only file."""

from __future__ import annotations

import json
import re
import urllib.parse
from pathlib import Path
from typing import Any

from .answering import AgentError
from .fetching import run_aws
from .guard import KEY_VARIABLE
from .metadata import json_with_token
from .place import Place, read_json, write_json

MOST_VARIABLES = 100
LARGEST_VALUE_BYTES = 32 * 1024
_NAME = re.compile(r"[A-Z_][A-Z0-9_]{0,63}")
_API = "api-version=7.4"


def fetch_variables(source: str) -> dict[str, str]:
    """Every variable below the source.

    Args:
        source: `ssm:/path`, `keyvault:https://name…` or `file:/path` (a JSON object).

    Raises:
        AgentError: It cannot be read, or what it holds cannot be given to a program.
    """
    kind, _colon, place = source.partition(":")
    if kind == "ssm":
        found = _from_parameters(place)
    elif kind == "keyvault":
        found = _from_vault(place.rstrip("/"))
    elif kind == "file":
        found = _from_file(Path(place))
    else:
        raise AgentError("fetch_failed", f"{source[:100]!r} is no source of variables.")
    return _checked(found)


def stage_variables(place: Place, found: dict[str, str]) -> bool:
    """Keep them for the next start of the program; whether they differ from the present ones."""
    if found == (read_json(place.variables) or {}):
        place.next_variables.unlink(missing_ok=True)
        return False
    write_json(place.next_variables, found, mode=0o600)
    return True


def _from_file(path: Path) -> dict[str, Any]:
    found = read_json(path)
    if found is None:
        raise AgentError("fetch_failed", f"{path} holds no object of variables.")
    return found


def _from_parameters(path: str) -> dict[str, Any]:
    printed = run_aws(
        [
            "ssm", "get-parameters-by-path", "--path", path, "--recursive", "--with-decryption",
            "--output", "json",
        ]
    )  # fmt: skip
    try:
        rows = json.loads(printed)["Parameters"]
        return {row["Name"].rpartition("/")[2]: row["Value"] for row in rows}
    except (ValueError, KeyError, TypeError) as error:
        raise AgentError("fetch_failed", "The aws program's answer is no JSON.") from error


def _from_vault(vault: str) -> dict[str, Any]:
    """Key Vault lists names first; each value is a request of its own."""
    resource = "https://" + (urllib.parse.urlsplit(vault).hostname or "").partition(".")[2]
    found: dict[str, Any] = {}
    page: str | None = f"{vault}/secrets?{_API}"
    while page:
        listed = json_with_token(page, resource)
        for row in listed.get("value", ()):
            secret = str(row["id"]).rpartition("/")[2]
            if row.get("attributes", {}).get("enabled", True):
                url = f"{vault}/secrets/{urllib.parse.quote(secret, safe='')}?{_API}"
                name = secret.replace("-", "_").upper()
                found[name] = json_with_token(url, resource)["value"]
        page = listed.get("nextLink")
        if page is not None and not page.startswith(f"{vault}/"):
            raise AgentError("fetch_refused", "The vault's next page lies elsewhere.")
    return found


def _checked(found: dict[str, Any]) -> dict[str, str]:
    if len(found.keys() - {KEY_VARIABLE}) > MOST_VARIABLES:
        raise AgentError("fetch_failed", f"There are more than {MOST_VARIABLES} variables.")
    for name, value in found.items():
        is_given = isinstance(value, str) and "\0" not in value
        if not _NAME.fullmatch(name) or not is_given or len(value.encode()) > LARGEST_VALUE_BYTES:
            raise AgentError("fetch_failed", f"The variable {name[:64]!r} cannot be given.")
    return dict(found)

"""Whom the front answers: everybody, or only the site's own CDN, which sends a header of its own.

guard.json, for root only, holds the header's name and value; without the file everybody is
answered. The addresses that a firewall lets in are those of the whole CDN, other customers' too.
"""

from __future__ import annotations

import hmac
import json
from dataclasses import asdict, dataclass

from .answering import AgentError
from .http1 import Head
from .place import Place, write_json

KEY_VARIABLE = "TMUX_BUILDER_ORIGIN_KEY"
"""Lies beside the site's variables and is none: the program never gets it."""
KEY_HEADER = "x-tmux-builder-origin"
FRONT_DOOR_HEADER = "x-azure-fdid"

OPEN = "open"
KEY = "key"
FRONT_DOOR = "front-door"


@dataclass(frozen=True)
class Guard:
    """What a visitor's request must carry; kinds are the words of a command."""

    kind: str
    header: str
    value: str

    def admits(self, head: Head) -> bool:
        """Whether the header is there once, with the value; neither knows case."""
        given = head.all(self.header.encode())
        wanted = self.value.lower().encode()
        is_one = len(given) == 1 and bool(wanted)
        return is_one and hmac.compare_digest(given[0].lower(), wanted)


NOBODY = Guard("unreadable", KEY_HEADER, "")


def keep_guard(place: Place, asked: str | None, key: str | None) -> None:
    """Keep what a command asks for; it holds from the serving agent's next command on.

    Args:
        asked: `open`, `key`, `front-door:<id>`, or None to leave it as it is.
        key: What lay beside the variables.

    Raises:
        AgentError: A key is asked for and there is none (code `no_origin_key`).
    """
    if asked is None:
        return
    kind, _colon, value = asked.partition(":")
    if kind == OPEN:
        place.guard.unlink(missing_ok=True)
        return
    guard = Guard(KEY, KEY_HEADER, key or "")
    if kind == FRONT_DOOR:
        guard = Guard(FRONT_DOOR, FRONT_DOOR_HEADER, value)
    if kind not in (KEY, FRONT_DOOR) or not guard.value:
        message = "The key that the site's CDN shows to its instance is not kept any more."
        raise AgentError("no_origin_key", message)
    if read_guard(place) != guard:
        write_json(place.guard, asdict(guard), mode=0o600)


def read_guard(place: Place) -> Guard | None:
    """None where everybody is answered; what cannot be read lets nobody in."""
    try:
        found = json.loads(place.guard.read_text(encoding="utf-8"))
        return Guard(str(found["kind"]), str(found["header"]), str(found["value"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        return NOBODY

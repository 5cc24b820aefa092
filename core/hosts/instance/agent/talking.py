"""Asking the agent that serves, over its private socket."""

from __future__ import annotations

import json
import socket
import time
from typing import Any

from .answering import AgentError
from .place import Place

COMES_UP_S = 30.0
ANSWER_S = 1100.0
ASK_S = 30.0
_POLL_S = 0.1


def ask(place: Place, command: dict[str, Any], *, deadline_s: float = ASK_S) -> dict[str, Any]:
    """What the serving agent answers.

    Raises:
        OSError: None serves, or it ended over the question.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(deadline_s)
        connection.connect(str(place.socket))
        connection.sendall(json.dumps(command).encode() + b"\n")
        received = b""
        while chunk := connection.recv(64 * 1024):
            received += chunk
    if not received.endswith(b"\n"):
        raise ConnectionResetError("the agent ended without an answer")
    answer = json.loads(received)
    if not isinstance(answer, dict):
        raise ConnectionResetError("the agent answered no object")
    return answer


def wait_until_it_serves(place: Place) -> dict[str, Any]:
    """Its status, as soon as it answers.

    Raises:
        AgentError: It did not come up.
    """
    ends = time.monotonic() + COMES_UP_S
    while True:
        try:
            return ask(place, {"do": "status"})
        except OSError as error:
            if time.monotonic() > ends:
                message = "The agent does not serve on the instance."
                raise AgentError("failed", message) from error
        time.sleep(_POLL_S)


def activate(place: Place, release_id: str) -> dict[str, Any]:
    """Let the serving agent switch to a release and to the staged variables.

    Raises:
        AgentError: It ended meanwhile; doing it again is right.
    """
    wait_until_it_serves(place)
    try:
        return ask(place, {"do": "activate", "release": release_id}, deadline_s=ANSWER_S)
    except OSError as error:
        raise AgentError("cancelled", "The agent was restarted during the command.") from error

"""What a command of the agent says in the end: one JSON line, small enough for every cloud."""

from __future__ import annotations

import json
from typing import Any

LARGEST_ANSWER_BYTES = 3400
"""Azure shows the last 4 kB of a command's output."""
LONGEST_LINE = 300
LONGEST_MESSAGE = 500


class AgentError(Exception):
    """A command's failure: a code for the product, a sentence, and the program's last lines."""

    def __init__(self, code: str, message: str, log: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.log = log


def refusal(error: AgentError) -> dict[str, Any]:
    problem = {"code": error.code, "message": error.message[:LONGEST_MESSAGE]}
    return {"ok": False, "error": problem, "log": list(error.log)}


def line_of(answer: dict[str, Any], limit: int = LARGEST_ANSWER_BYTES) -> str:
    """The answer as one line; the oldest lines of the log give way to its limit."""
    log = [line[:LONGEST_LINE] for line in answer.get("log", ())]
    while True:
        said = json.dumps({**answer, "log": log})
        if len(said) <= limit or not log:
            return said
        del log[: max(1, len(log) // 8)]

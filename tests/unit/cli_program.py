"""Runs the real program as a process of its own."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LIMIT_S = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a call ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one document on stdout."""
        found = json.loads(self.out)
        assert isinstance(found, dict)
        return found


def call(
    *arguments: str, text: str | None = None, cwd: Path | None = None,
    environ: Mapping[str, str] | None = None, **variables: str,
) -> Ended:  # fmt: skip
    """Run `tmux-builder ARGUMENTS`; without `text` nothing is on stdin."""
    done = subprocess.run(
        [sys.executable, "-m", "tui.cli", *arguments],
        input=text, stdin=subprocess.DEVNULL if text is None else None, capture_output=True,
        text=True, cwd=cwd, env={**os.environ, **variables, **(environ or {})}, timeout=LIMIT_S,
        check=False,
    )  # fmt: skip
    return Ended(code=done.returncode, out=done.stdout, err=done.stderr)


def new_session(email: str = "ana@example.org") -> tuple[str, str]:
    """(user_id, session_id) of a session that was never started."""
    user = call("user", "create", "--email", email, "--phone", "5550100199", "--no-start", "--json")
    session = call("session", "create", email, "--no-start", "--json")
    assert (user.code, session.code) == (0, 0), user.err + session.err
    return user.document["data"]["user_id"], session.document["data"]["session_id"]


def in_terminal(
    arguments: list[str], *, after: str = "", keys: bytes = b"", **variables: str
) -> tuple[int, str]:
    """Run the program on a terminal of its own; `keys` are typed once `after` was shown."""
    environment = {"TERM": "xterm-256color", **os.environ, **variables}
    pid, terminal = pty.fork()
    if pid == 0:
        program = [sys.executable, "-m", "tui.cli", *arguments]
        os.execve(sys.executable, program, environment)
    found, end, is_typed = b"", time.monotonic() + LIMIT_S, False
    while time.monotonic() < end:
        if keys and not is_typed and after.encode() in found:
            os.write(terminal, keys)
            is_typed = True
        try:
            chunk = os.read(terminal, 65536)
        except OSError:
            break
        if not chunk:
            break
        found += chunk
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), found.decode()

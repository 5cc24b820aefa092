"""Creating and ending sessions through libtmux: cold paths only, one fork each.

Its list accessors, its typing and its server start are not used: they fail for every tenant when
one pane has an odd title, they drop characters, and they start servers with this process's
environment (`-N` forbids that here).
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from tmux_bridge.tmux.errors import TmuxCommandError, gone, missing_tmux, silent
from tmux_bridge.tmux.quoting import argument

SEPARATOR = ";"
_NO_SERVER = ("no server running", "error connecting to", "lost server", "server exited")


class LifeCycle:
    """Runs rare tmux commands on one server."""

    def __init__(self, *, socket: Path, config: Path, program: str) -> None:
        self._socket = socket
        self._config = config
        self._program = program

    def run(self, *commands: list[str], timeout_s: float = 10.0) -> list[str]:
        """Run tmux commands in one go; the lines they print.

        Raises:
            TmuxCommandError: tmux refused one of them; those before it were executed.
            TmuxGoneError: There is no server, or it did not answer in time.
        """
        words = [argument(word) for word in commands[0]]
        for command in commands[1:]:
            words += [SEPARATOR, *(argument(word) for word in command)]
        return self._ask(words, timeout_s)

    def _ask(self, words: list[str], timeout_s: float) -> list[str]:
        from libtmux.exc import LibTmuxException, TmuxCommandNotFound  # noqa: PLC0415

        from tmux_bridge.tmux.plain_client import PlainServer  # noqa: PLC0415 - libtmux: 150 ms

        server = PlainServer(
            socket=self._socket, config=self._config, program=self._program, timeout_s=timeout_s
        )
        try:
            done = server.cmd("-uN", *words)
        except TmuxCommandNotFound as error:
            raise missing_tmux(self._program) from error
        except subprocess.TimeoutExpired as error:
            raise silent(words[0], timeout_s) from error
        except LibTmuxException as error:
            raise _refused(words[0], str(error)) from error
        if done.returncode or done.stderr:
            raise _failure(words[0], " ".join(done.stderr))
        return list(done.stdout)


def _failure(command: str, said: str) -> Exception:
    if any(said.startswith(known) for known in _NO_SERVER):
        return gone(f"tmux could not run {command}: {said}.")
    return _refused(command, said)


def _refused(command: str, said: str) -> TmuxCommandError:
    return TmuxCommandError(
        f"tmux refused {command}: {said or 'no reason given'}.",
        remedy="Look at the session with tmux-builder session show, then try again.",
    )

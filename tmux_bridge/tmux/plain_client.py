"""libtmux's server object with clients that get an environment made from nothing, and a deadline.

libtmux starts its clients with all that this process has - a worker holds tokens and cloud
credentials - and waits for them without end. Imported on use: libtmux takes 150 ms.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import libtmux
from libtmux.common import tmux_cmd
from libtmux.exc import TmuxCommandNotFound

from tmux_bridge.tmux.settings import clean_environment


class PlainServer(libtmux.Server):
    """One server, asked by short-lived clients.

    Args:
        timeout_s: The longest that one command may take.
    """

    def __init__(self, *, socket: Path, config: Path, program: str, timeout_s: float) -> None:
        super().__init__(socket_path=socket, config_file=str(config), tmux_bin=program)
        self._timeout_s = timeout_s

    def cmd(self, cmd: str, *args: object, target: str | int | None = None) -> tmux_cmd:
        """As libtmux's own.

        Raises:
            TmuxCommandNotFound: There is no tmux.
            subprocess.TimeoutExpired: No answer in time.
        """
        aimed = args if target is None else ("-t", target, *args)
        words = [f"-f{self.config_file}", f"-S{self.socket_path}", cmd, *map(str, aimed)]
        return _Client(*words, tmux_bin=self.tmux_bin, timeout_s=self._timeout_s)


class _Client(tmux_cmd):
    def __init__(self, *args: str, tmux_bin: str | None, timeout_s: float) -> None:
        self.cmd = [tmux_bin or "tmux", *args]
        try:
            done = subprocess.run(
                self.cmd, check=False, capture_output=True, encoding="utf-8",
                errors="backslashreplace", stdin=subprocess.DEVNULL, timeout=timeout_s,
                env=clean_environment(os.environ),
            )  # fmt: skip
        except FileNotFoundError as error:
            raise TmuxCommandNotFound from error
        self.returncode = done.returncode
        self.stdout = done.stdout.rstrip("\n").split("\n") if done.stdout else []
        self.stderr = [line for line in done.stderr.split("\n") if line]

"""Starts an agent with its public port, as systemd does, and ends it with its own parent.

python machine_keeper.py FD PROGRAM ARGUMENTS...    with a pipe of the parent as standard input
"""

from __future__ import annotations

import os
import signal
import sys
import time

END_S = 15.0


def main() -> None:
    descriptor, command = int(sys.argv[1]), sys.argv[2:]
    child = os.fork()
    if child == 0:
        os.dup2(descriptor, 3)
        os.set_inheritable(3, True)
        own = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
        os.execve(command[0], command, {**os.environ, **own})
    os.close(descriptor)
    sys.stdin.buffer.read()
    os.kill(child, signal.SIGTERM)
    ends = time.monotonic() + END_S
    while os.waitpid(child, os.WNOHANG)[0] == 0:
        if time.monotonic() > ends:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return
        time.sleep(0.02)


if __name__ == "__main__":
    main()

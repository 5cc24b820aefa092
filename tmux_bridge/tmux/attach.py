"""The command that puts a person's own terminal on a session; leaving is tmux's prefix and d."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from core.paths import RuntimePaths
from tmux_bridge.tmux.quoting import argument, checked_name
from tmux_bridge.tmux.settings import HEIGHT, WIDTH

_OWN = ("TMUX", "TMUX_PANE")


def attach_argv(
    runtime: RuntimePaths, name: str, *, read_only: bool, program: str = "tmux"
) -> list[str]:
    """Attach to a session of our server.

    The session takes the terminal's size, so size it back afterwards (`restore_argv`). A reader
    neither types nor changes the size.
    """
    head = _tmux(runtime, program)
    target = f"={checked_name(name)}"
    if read_only:
        return [*head, "attach-session", "-f", "read-only,ignore-size", "-t", target]
    follow = ["set-option", "-w", "-t", f"{target}:", "window-size", "latest"]
    return [*head, *follow, ";", "attach-session", "-t", target]


def restore_argv(runtime: RuntimePaths, name: str, *, program: str = "tmux") -> list[str]:
    """Give the session its own size again; for a process without a control connection."""
    size = ["-x", str(WIDTH), "-y", str(HEIGHT)]
    return [*_tmux(runtime, program), "resize-window", "-t", f"={checked_name(name)}:", *size]


def attach_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment for `attach_argv`: nothing of an outer tmux."""
    return {key: value for key, value in environ.items() if key not in _OWN}


def inside_tmux(environ: Mapping[str, str]) -> bool:
    """Whether this terminal is a pane of some tmux."""
    return bool(environ.get("TMUX"))


def is_inside_own(runtime: RuntimePaths, environ: Mapping[str, str]) -> bool:
    """Whether this terminal is a pane of our own server."""
    outer = _outer_socket(environ)
    try:
        return outer is not None and outer.samefile(runtime.tmux_socket)
    except OSError:
        return False


def nested_attach_argv(
    runtime: RuntimePaths,
    name: str,
    *,
    environ: Mapping[str, str],
    read_only: bool,
    program: str = "tmux",
) -> list[str]:
    """Attach from inside a tmux: run it with the environment as it is; it returns at once.

    On our own server the client switches, and types as before even where `read_only` is asked
    for: tmux can only toggle that, and it would stay. In another server a new window attaches, and
    leaving it takes the outer prefix twice (`Ctrl+b Ctrl+b d`).
    """
    outer = _outer_socket(environ)
    if outer is None or is_inside_own(runtime, environ):
        return [*_tmux(runtime, program), "switch-client", "-t", f"={checked_name(name)}:"]
    attach = attach_argv(runtime, name, read_only=read_only, program=program)
    unset = [word for variable in _OWN for word in ("-u", variable)]
    command = [argument(word) for word in ("env", *unset, *attach)]
    return [program, "-S", str(outer), "new-window", "-n", "tmux-builder", "--", *command]


def _tmux(runtime: RuntimePaths, program: str) -> list[str]:
    """`-N`: attaching must never start a server, which would take this terminal's environment."""
    return [program, "-u", "-N", "-S", str(runtime.tmux_socket)]


def _outer_socket(environ: Mapping[str, str]) -> Path | None:
    """`TMUX` is socket, server pid and session number, joined by commas."""
    socket = environ.get("TMUX", "").rsplit(",", 2)[0]
    return Path(socket) if socket else None

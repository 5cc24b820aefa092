"""System calls that reach past a sandbox's walls and that no customer's code needs, as BPF.

Typing into one's own terminal (TIOCSTI) would let a program in a pane answer the question that
Claude asks the operator there; the kernel's key rings belong to the account, not to the sandbox.
Sources: seccomp(2), bpf(4), linux/audit.h, and each machine's table of system calls.
"""

from __future__ import annotations

import errno
import os
import platform
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class _Machine:
    """What a machine calls things. `foreign_from`: call numbers of a second table, refused."""

    audit: int
    ioctl: int
    refused: tuple[int, ...]
    foreign_from: int | None = None


_MACHINES: Mapping[str, _Machine] = {
    # refused: add_key, request_key, keyctl, perf_event_open, bpf, userfaultfd
    "x86_64": _Machine(
        audit=0xC000003E, ioctl=16, refused=(248, 249, 250, 298, 321, 323), foreign_from=0x40000000
    ),
    "aarch64": _Machine(audit=0xC00000B7, ioctl=29, refused=(217, 218, 219, 241, 280, 282)),
}
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C

_LOAD, _JUMP_EQUAL, _JUMP_FROM, _RETURN = 0x20, 0x15, 0x35, 0x06
_AT_NUMBER, _AT_MACHINE, _AT_SECOND_ARGUMENT = 0, 4, 24
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000

_Line = tuple[int, int, int, int]


def filter_program(machine: str | None = None) -> bytes:
    """The program that `bwrap --seccomp` takes; empty where the machine's calls are not known."""
    known = _MACHINES.get(machine or platform.machine())
    if known is None:
        return b""
    return b"".join(struct.pack("=HBBI", *line) for line in _lines(known))


@contextmanager
def filter_descriptor() -> Iterator[int | None]:
    """The program as an open file to hand to bubblewrap; None where there is none."""
    program = filter_program()
    if not program:
        yield None
        return
    handle = os.memfd_create("call-filter", os.MFD_CLOEXEC)
    try:
        os.write(handle, program)
        os.lseek(handle, 0, os.SEEK_SET)
        yield handle
    finally:
        os.close(handle)


def _lines(machine: _Machine) -> list[_Line]:
    """Compare, and on a match go on to the line that refuses it; what is left is allowed."""
    unknown = _RETURN, 0, 0, _REFUSE | errno.ENOSYS
    refuse = _RETURN, 0, 0, _REFUSE | errno.EPERM
    lines: list[_Line] = [
        (_LOAD, 0, 0, _AT_MACHINE),
        (_JUMP_EQUAL, 1, 0, machine.audit),
        unknown,
        (_LOAD, 0, 0, _AT_NUMBER),
    ]
    if machine.foreign_from is not None:
        lines += [(_JUMP_FROM, 0, 1, machine.foreign_from), unknown]
    for number in machine.refused:
        lines += [(_JUMP_EQUAL, 0, 1, number), refuse]
    lines += [
        (_JUMP_EQUAL, 1, 0, machine.ioctl),
        (_RETURN, 0, 0, _ALLOW),
        (_LOAD, 0, 0, _AT_SECOND_ARGUMENT),
    ]
    for request in (_TIOCSTI, _TIOCLINUX):
        lines += [(_JUMP_EQUAL, 0, 1, request), refuse]
    return [*lines, (_RETURN, 0, 0, _ALLOW)]

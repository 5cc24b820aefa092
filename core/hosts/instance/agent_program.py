"""The agent as the one file that an instance gets: a zip of its modules that Python runs as it is.

    program = agent_program()
    program.key, program.sha256, program.content      # put it into the object store under its key

The zip is stored, not packed, with fixed order and times, so the same sources give the same bytes
everywhere, and the sha256 alone says whether an instance has this agent.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

SOURCES = Path(__file__).parent / "agent"
PACKAGE = "tmux_builder_agent"
_FIXED_TIME = (1980, 1, 2, 0, 0, 0)
_MAIN = f"import sys\n\nfrom {PACKAGE}.main import main\n\nsys.exit(main())\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentProgram:
    """The file `agent.pyz`."""

    content: bytes
    sha256: str

    @property
    def key(self) -> str:
        """Where it lies in an object store."""
        return f"agents/{self.sha256}.pyz"


@cache
def agent_program() -> AgentProgram:
    """The agent of this version of the product."""
    members = {"__main__.py": _MAIN.encode()}
    for source in sorted(SOURCES.glob("*.py")):
        members[f"{PACKAGE}/{source.name}"] = source.read_bytes()
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            archive.writestr(_member(name), content)
    content = written.getvalue()
    return AgentProgram(content=content, sha256=hashlib.sha256(content).hexdigest())


def _member(name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name, _FIXED_TIME)
    member.create_system = 3
    member.external_attr = 0o644 << 16
    return member

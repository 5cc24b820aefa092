"""Memory files above a session's folder, which the CLI would read as instructions.

Inside bubblewrap they are not there. Without it only this keeps them out: the session's own
repository cuts off agents and skills of parent folders, but not their `CLAUDE.md`.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

_MEMORY = ("CLAUDE.md", "CLAUDE.local.md", "AGENTS.md", ".claude/CLAUDE.md", ".claude/rules/**")
_SPECIAL = re.compile(r"[\\\[\]{}()*!|]")
"""The CLI takes a backslash for a separator, so these are matched by `?`: it excludes no less."""


def memory_settings(root: Path) -> str:
    """Settings of the CLI, as JSON, that exclude the memory of every folder above `root`."""
    folders = {parent for place in (root.absolute(), root.resolve()) for parent in place.parents}
    patterns = [
        f"{_SPECIAL.sub('?', str(folder)).rstrip('/')}/{name}"
        for folder in sorted(folders)
        for name in _MEMORY
    ]
    return json.dumps({"claudeMdExcludes": patterns})

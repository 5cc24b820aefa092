"""The `web:` line of a Procfile: how a dynamic site is started."""

from __future__ import annotations

import re

PROCFILE = "Procfile"
LARGEST_PROCFILE_BYTES = 64 * 1024
_WEB = re.compile(r"^web:[ \t]*(\S.*?)[ \t\r]*$", re.MULTILINE)


def web_command(content: bytes) -> str | None:
    """The command behind `web:`, None where there is no such line."""
    found = _WEB.search(content.decode("utf-8", "replace"))
    return None if found is None or "\0" in found.group(1) else found.group(1)

"""Which files of a site are never published: version control, secrets, the product's marker."""

from __future__ import annotations

import re
from functools import lru_cache

from core.models.release import MARKER_PATH

_NEVER = frozenset({".git", ".ds_store"})
_KEY_NAMES = frozenset({"id_rsa", "id_dsa", "id_ecdsa", "id_ed25519"})
_KEY_SUFFIXES = (".key", ".p12", ".pfx", ".ppk", ".jks", ".keystore")
_PRIVATE_KEY = re.compile(rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
HEAD_BYTES = 64 * 1024


@lru_cache(maxsize=8192)
def is_left_out_by_name(path: str) -> bool:
    """Whether a file or folder of that path (forward slashes) stays at home."""
    name = path.rpartition("/")[2].lower()
    return (
        name in _NEVER
        or name in _KEY_NAMES
        or name.startswith(".env")
        or name.endswith(_KEY_SUFFIXES)
        or path == MARKER_PATH
        or _UNPRINTABLE.search(name) is not None
    )


def is_private_key(path: str, head: bytes) -> bool:
    """Whether the content says so: a `.pem` that holds a private key, or a file that begins so."""
    if path.lower().endswith(".pem"):
        return _PRIVATE_KEY.search(head) is not None
    return _PRIVATE_KEY.match(head.lstrip()[:80]) is not None


def shown_path(path: str) -> str:
    """A path that can be stored and shown, whatever bytes its name is made of."""
    escaped = path.encode("utf-8", "backslashreplace").decode()
    return _UNPRINTABLE.sub(lambda found: f"\\x{ord(found.group()):02x}", escaped)

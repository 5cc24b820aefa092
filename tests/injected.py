"""For tests that give a Claude other settings: recorded as if the product had written them."""

from __future__ import annotations

import hashlib
import json

import msgspec

from core.injection.lock import read_lock
from core.models.session import SessionKey
from core.store.store import Store


def allow(store: Store, key: SessionKey, *rules: str) -> None:
    """More than the product allows, so that the sandbox alone has to hold."""
    paths = store.root.session(key.user_id, key.session_id)
    path = paths.claude / "settings.json"
    settings = json.loads(path.read_text())
    settings["permissions"]["allow"] += rules
    path.write_text(json.dumps(settings))
    record_edits(store, key)


def record_edits(store: Store, key: SessionKey) -> None:
    """What stands in `.claude` becomes what was injected."""
    paths = store.root.session(key.user_id, key.session_id)
    lock = read_lock(paths)
    assert lock is not None
    files = tuple(
        msgspec.structs.replace(
            file, sha256=hashlib.sha256((paths.claude / file.path).read_bytes()).hexdigest()
        )
        for file in lock.files
    )
    content = msgspec.structs.replace(lock, files=files).encode()
    paths.injection_lock.write_bytes(content)
    store.sessions.set_injection(key, hashlib.sha256(content).hexdigest())

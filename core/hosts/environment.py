"""What every host is made of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from core.clock import Clock
from core.paths import DataRoot, RuntimePaths
from core.store.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class HostEnvironment:
    """The product's side of a host; `isolation` off runs dynamic sites without a sandbox."""

    root: DataRoot
    runtime: RuntimePaths
    store: Store
    clock: Clock
    python: Path
    isolation: bool = True

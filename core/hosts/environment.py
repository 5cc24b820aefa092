"""What every host is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from core.clock import Clock
from core.config import Settings
from core.paths import DataRoot, RuntimePaths
from core.store.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class HostEnvironment:
    """The product's side of a host; without `isolation` dynamic sites run in no sandbox."""

    root: DataRoot
    runtime: RuntimePaths
    store: Store
    clock: Clock
    python: Path
    settings: Settings
    environ: Mapping[str, str]

    @property
    def isolation(self) -> bool:
        return self.settings.isolation_required

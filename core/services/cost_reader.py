"""A session's figures for its line: what its Claude used, and what its cloud resources cost."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from core.cloud.prices import EC2_DISK_GB, EC2_TYPE, usd_per_day
from core.models.cost import SessionCost, Spending
from core.models.session import SessionKey
from core.store.sessions import CloudSite
from core.store.store import Store

SHARED = "shared"
_STORES = frozenset({"s3_bucket", "storage_account"})


class CostReader:
    """Reads figures of one session, or of all in a few queries."""

    def __init__(self, store: Store, today: Callable[[], str]) -> None:
        self._store = store
        self._today = today

    def one(self, key: SessionKey) -> SessionCost:
        usage = self._store.usage
        return SessionCost(
            today=usage.of_session(key, self._today()),
            total=usage.of_session(key),
            cloud_usd_day=self.cloud(key).get(key, 0.0),
        )

    def all(self) -> dict[SessionKey, SessionCost]:
        """Of every session that used anything or has resources."""
        today = self._store.usage.of_sessions(self._today())
        total, cloud = self._store.usage.of_sessions(), self.cloud()
        return {
            key: SessionCost(
                today=today.get(key, Spending()), total=total.get(key, Spending()),
                cloud_usd_day=cloud.get(key, 0.0),
            )
            for key in total.keys() | cloud.keys()
        }  # fmt: skip

    def cloud(self, key: SessionKey | None = None) -> dict[SessionKey, float | None]:
        """What the resources of every session that has some, or of one, cost in a day."""
        sharing = cache(self._store.sessions.sharing)
        sites = self._store.sessions.cloud_sites(key)
        return {one: _cloud(site, sharing) for one, site in sites.items()}


def _cloud(site: CloudSite, sharing: Callable[[str], int]) -> float | None:
    """The sum over the resources; what several sessions share is divided among them."""
    total = 0.0
    for resource in site.resources:
        daily = _daily(resource.kind, site)
        if daily is None:
            return None
        is_shared = daily > 0 and resource.tags.get("Scope") == SHARED
        total += daily / max(1, sharing(resource.resource_id)) if is_shared else daily
    return round(total, 4)


def _daily(kind: str, site: CloudSite) -> float | None:
    if kind == "ec2_instance":
        return usd_per_day(kind, EC2_TYPE, size_bytes=EC2_DISK_GB * 10**9)
    if kind == "virtual_machine":
        return usd_per_day(kind, str(site.block.get("vm_size") or ""))
    return usd_per_day(kind, size_bytes=site.size_bytes if kind in _STORES else 0)

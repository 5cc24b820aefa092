"""Which machine sizes a subscription may have in a location: small ones, the cheapest first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from core.errors import CloudRefusedError
from core.hosts.azure.site import AzureSite

SIZES = ("Standard_B2ats_v2", "Standard_B2ts_v2", "Standard_B2als_v2", "Standard_B2ls_v2")
"""Two burstable x86-64 processors with 1 or 4 GiB; the others stand in where the first is short.

All have generation 2 and trusted launch, which the image and the security profile need.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineSize:
    """A size on offer; `can_encrypt` is whether its hosts encrypt what they keep of a machine."""

    name: str
    can_encrypt: bool


def offered_sizes(site: AzureSite) -> tuple[MachineSize, ...]:
    """Those of `SIZES` that may be had, in that order.

    Raises:
        CloudRefusedError: There is none (code `no_size`).
    """
    skus = site.client("compute").resource_skus
    listed = site.asked(
        f"look for machine sizes in {site.location}",
        lambda: list(skus.list(filter=f"location eq '{site.location}'")),
    )
    found = {str(one.name): _size(one) for one in listed if _is_usable(one)}
    if not found:
        raise no_size(site, "offers none of the sizes")
    return tuple(found[name] for name in SIZES if name in found)


def no_size(site: AzureSite, why: str) -> CloudRefusedError:
    return CloudRefusedError(
        f"Azure {why} {', '.join(SIZES)} in {site.location}.",
        remedy="Destroy the site, set azure.location to another place, then deploy again.",
        code="no_size",
    )


def _is_usable(sku: Any) -> bool:
    """A restriction to some zones is none for a machine that asks for no zone."""
    if sku.resource_type != "virtualMachines" or sku.name not in SIZES:
        return False
    barred = any(str(_text(one.type)) == "Location" for one in sku.restrictions or [])
    return not barred and "V2" in _capability(sku, "HyperVGenerations")


def _size(sku: Any) -> MachineSize:
    can_encrypt = _capability(sku, "EncryptionAtHostSupported").casefold() == "true"
    return MachineSize(name=str(sku.name), can_encrypt=can_encrypt)


def _capability(sku: Any, name: str) -> str:
    return next((str(one.value) for one in sku.capabilities or [] if one.name == name), "")


def _text(value: Any) -> str:
    return str(getattr(value, "value", value))

"""A name of the operator's own for a site: records in the zone, and the domain in Front Door.

Azure proves by a TXT record that the zone is the operator's, and then gets a certificate, which
may take longer than anybody waits for a deploy. The site answers at Azure's own name meanwhile.
"""

from __future__ import annotations

from core.cloud.retrying import Patience, awaited
from core.hosts.azure.adoption import Part, ensure
from core.hosts.azure.bodies import Document
from core.hosts.azure.dns import Record, Zone, ensure_record
from core.hosts.azure.names import AzureNames
from core.hosts.azure.site import AzureSite
from core.hosts.azure.vm_bodies import domain_body
from core.hosts.azure.vm_names import DOMAIN

_TOKEN_COMES = Patience(deadline_s=300.0, interval_s=1.0)
_PROVEN = "Approved"


def own_host(names: AzureNames, zone: str) -> str:
    """The site's name in the zone."""
    return f"{names.endpoint}.{zone}"


def proof_label(names: AzureNames) -> str:
    """Where Azure looks for the proof."""
    return f"_dnsauth.{names.endpoint}"


def domain_id(names: AzureNames, profile: str) -> str:
    """How the domain is recorded."""
    return f"{profile}/{names.endpoint}"


def domain_part(site: AzureSite, profile: str, host: str) -> Part:
    """Front Door's side of the name; it takes no tags and has the endpoint's name."""
    calls, names = site.client("cdn").afd_custom_domains, site.names
    place = (names.shared_group, profile, names.endpoint)
    return Part(
        what=f"the domain {host}",
        body=domain_body(host),
        get=lambda: calls.get(*place),
        begin=lambda body: calls.begin_create(*place, body),
        made=lambda _tags: site.made(DOMAIN, domain_id(names, profile), {}),
    )


def ensure_domain(site: AzureSite, profile: str, zone: Zone) -> str:
    """The domain with its proof in the zone; its id, for the route."""
    part = domain_part(site, profile, own_host(site.names, zone.name))
    site.intends(DOMAIN, domain_id(site.names, profile), {})
    found = ensure(site, part)
    if found["properties"].get("domainValidationState") != _PROVEN:
        token = awaited(
            lambda: _token(site, part),
            what=f"Azure's question about {part.what}",
            remedy="Run the same command again.",
            patience=_TOKEN_COMES,
            clock=site.clock,
            cancelled=site.cancelled,
        )
        proof = Record(kind="TXT", label=proof_label(site.names), value=token)
        ensure_record(site, zone, proof)
    return str(found["id"])


def ensure_alias(site: AzureSite, zone: Zone, target: str) -> None:
    """The name leads to the site."""
    ensure_record(site, zone, Record(kind="CNAME", label=site.names.endpoint, value=target))


def remove_domain(site: AzureSite, profile: str, endpoint: str) -> bool:
    """Front Door's side, once no route has it; whether there was one."""
    calls, place = site.client("cdn").afd_custom_domains, (site.names.shared_group, profile)
    what = f"the domain of {endpoint}"
    found = site.found(f"look for {what}", lambda: calls.get(*place, endpoint))
    if found is not None:
        site.followed(f"delete {what}", lambda: calls.begin_delete(*place, endpoint))
    return found is not None


def _token(site: AzureSite, part: Part) -> str | None:
    found: Document = site.found(f"read {part.what}", part.get) or {}
    proof = found.get("properties", {}).get("validationProperties") or {}
    return proof.get("validationToken") or None

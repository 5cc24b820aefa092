"""The session's key vault: its program's variables as secrets, which the machine reads by itself.

Secrets are written by the management plane, so no right to read them is ever needed here. That
plane deletes none: a variable that is taken away is a disabled secret without its value. What a
vault held goes when it is purged, which destroying the site does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from core.cloud.azure_errors import error_code
from core.errors import CloudRefusedError
from core.hosts.azure.adoption import Part, ensure, settled
from core.hosts.azure.bodies import Document
from core.hosts.azure.site import AzureSite, as_document, refuse_foreign
from core.hosts.azure.vm_bodies import vault_body
from core.hosts.azure.vm_names import VAULT, vault_name
from core.hosts.instance.variables import secret_name, variable_of_secret

NOTHING = "-"
"""Stands for the value of a disabled secret: Azure takes no empty one."""

_TAKEN = frozenset({"VaultAlreadyExists", "VaultNameNotAvailable"})
_NO_VAULT = frozenset({"ResourceNotFound", "ResourceGroupNotFound", "ParentResourceNotFound"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretVault:
    """A vault as Azure answered it."""

    resource_id: str
    uri: str


def ensure_vault(site: AzureSite) -> SecretVault:
    """The vault; one of ours that was deleted before is purged first, its secrets are nobody's.

    Raises:
        CloudRefusedError: Somebody in the world has the name already.
    """
    part = vault_part(site, site.subscription.tenant_id())
    if settled(site, part) is None:
        purge_deleted(site, site.location)
        site.intends(VAULT, vault_id(site.location, vault_name(site.names)), site.tags)
    try:
        return secret_vault(ensure(site, part))
    except CloudRefusedError as error:
        if error.__cause__ is not None and error_code(error.__cause__) in _TAKEN:
            raise refuse_foreign(
                f"A key vault {vault_name(site.names)}", site.names.config.key.session_id
            ) from error
        raise


def secret_vault(found: Document) -> SecretVault:
    uri = str(found["properties"].get("vaultUri", ""))
    return SecretVault(resource_id=str(found["id"]), uri=uri.rstrip("/"))


def vault_part(site: AzureSite, tenant_id: str) -> Part:
    calls, name = site.client("keyvault").vaults, vault_name(site.names)
    place = (site.names.group, name)
    return Part(
        what=f"the key vault {name}",
        body=vault_body(site.location, tenant_id),
        get=lambda: calls.get(*place),
        begin=lambda body: calls.begin_create_or_update(*place, body),
        tags=site.tags,
        owned=site.names.config.owns,
        made=lambda tags: site.made(VAULT, vault_id(site.location, name), tags),
    )


def vault_id(location: str, name: str) -> str:
    """How a vault is recorded: a deleted one is found by its location only."""
    return f"{location}/{name}"


def purge_deleted(site: AzureSite, location: str, name: str | None = None) -> bool:
    """End a deleted vault of ours for good; whether there was one.

    Raises:
        CloudRefusedError: It is somebody else's, or the login may not purge.
    """
    calls, named = site.client("keyvault").vaults, name or vault_name(site.names)
    what = f"the deleted key vault {named}"
    found = site.found(f"look for {what}", lambda: calls.get_deleted(named, location))
    if found is None:
        return False
    if not site.names.config.owns(found.get("properties", {}).get("tags") or {}):
        raise refuse_foreign(what, site.names.config.key.session_id)
    site.followed(f"purge {what}", lambda: calls.begin_purge_deleted(named, location))
    return True


def kept_variables(site: AzureSite) -> tuple[str, ...]:
    """Names of the variables that the program gets, sorted; empty without a vault."""
    calls = site.client("keyvault").secrets
    try:
        listed = site.asked(
            f"list the secrets of {vault_name(site.names)}",
            lambda: [as_document(one) for one in calls.list(*_place(site))],
        )
    except CloudRefusedError as error:
        if error.__cause__ is not None and error_code(error.__cause__) in _NO_VAULT:
            return ()
        raise
    return tuple(sorted(_enabled(listed)))


def keep_variable(site: AzureSite, name: str, value: str) -> None:
    """A new version of the variable's secret; the value is in the request's body only."""
    _put(site, name, value, is_enabled=True)


def drop_variable(site: AzureSite, name: str) -> None:
    """The program no longer gets it."""
    _put(site, name, NOTHING, is_enabled=False)


def _put(site: AzureSite, name: str, value: str, *, is_enabled: bool) -> None:
    """A secret that is there keeps its tags: a PUT says them anew."""
    calls: Any = site.client("keyvault").secrets
    place = (*_place(site), secret_name(name))
    found = site.found(f"look for the variable {name}", lambda: calls.get(*place))
    tags = site.tags if found is None else found.get("tags") or site.tags
    properties = {"value": value, "attributes": {"enabled": is_enabled}}
    body = {"properties": properties, "tags": dict(tags)}
    site.asked(f"write the variable {name}", lambda: calls.create_or_update(*place, body))


def _enabled(secrets: list[Document]) -> Iterator[str]:
    for one in secrets:
        attributes = one.get("properties", {}).get("attributes") or {}
        if attributes.get("enabled", True):
            yield variable_of_secret(str(one["name"]))


def _place(site: AzureSite) -> tuple[str, str]:
    return site.names.group, vault_name(site.names)

"""The session's storage account: key-less, with a static website, and the right to write to it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from core.cloud.azure_errors import azure_errors, error_code
from core.cloud.retrying import Patience, retried
from core.errors import CloudRefusedError
from core.hosts.azure.adoption import Part, ensure
from core.hosts.azure.assignments import assign_role, has_role
from core.hosts.azure.bodies import (
    INDEX_DOCUMENT,
    MISSING_DOCUMENT,
    Document,
    account_body,
    website_body,
)
from core.hosts.azure.names import ACCOUNT, BLOB_CONTRIBUTOR, BLOB_ROLES, ROLE
from core.hosts.azure.site import AzureSite, Done, refuse_foreign

WEB_CONTAINER = "$web"

SPREADS = Patience(deadline_s=600.0, interval_s=2.0)
"""A role assignment needs minutes at times until every server of a storage account knows it."""

_TAKEN = frozenset(
    {"StorageAccountAlreadyTaken", "StorageAccountInAnotherResourceGroup", "AccountAlreadyExists"}
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebAccount:
    """A storage account as Azure answered it: its zone is one of many, so no URL is ever built."""

    resource_id: str
    blob_endpoint: str
    web_endpoint: str

    @property
    def web_host(self) -> str:
        return urlsplit(self.web_endpoint).hostname or ""

    @property
    def web_port(self) -> int:
        return urlsplit(self.web_endpoint).port or 443


def account_part(site: AzureSite) -> Part:
    accounts, names = site.client("storage").storage_accounts, site.names
    return Part(
        what=f"the storage account {names.account}",
        body=account_body(site.location),
        get=lambda: accounts.get_properties(names.group, names.account),
        begin=lambda body: accounts.begin_create(names.group, names.account, body),
        tags=site.tags,
        owned=names.config.owns,
        made=lambda tags: site.made(ACCOUNT, names.account, tags),
    )


def website_part(site: AzureSite) -> Part:
    services, names = site.client("storage").blob_services, site.names
    return Part(
        what=f"the static website of {names.account}",
        body=website_body(),
        get=lambda: services.get_service_properties(names.group, names.account),
        begin=lambda body: Done(services.set_service_properties(names.group, names.account, body)),
    )


def ensure_account(site: AzureSite) -> WebAccount:
    """The account with its endpoints.

    Raises:
        CloudRefusedError: Somebody in the world has the name already.
    """
    try:
        found = ensure(site, account_part(site))
    except CloudRefusedError as error:
        if error.__cause__ is not None and error_code(error.__cause__) in _TAKEN:
            what = f"A storage account {site.names.account}"
            raise refuse_foreign(what, site.names.config.key.session_id) from error
        raise
    return web_account(site, found)


def web_account(site: AzureSite, found: Document) -> WebAccount:
    """Raises CloudRefusedError where Azure names no endpoints."""
    endpoints = found.get("properties", {}).get("primaryEndpoints") or {}
    if not endpoints.get("web") or not endpoints.get("blob"):
        raise CloudRefusedError(
            f"Azure names no web endpoint of the storage account {site.names.account}.",
            remedy="Choose a location that has static websites: azure.location.",
        )
    blob = site.subscription.cloud.blob_endpoint(site.names.account, str(endpoints["blob"]))
    return WebAccount(
        resource_id=str(found["id"]), blob_endpoint=blob, web_endpoint=str(endpoints["web"])
    )


def ensure_role(site: AzureSite, account: WebAccount) -> None:
    """The login may write the account's blobs: owning an account does not say so.

    Raises:
        CloudRefusedError: It has no such role, and not the right to give itself one.
    """
    site.leave_if_cancelled()
    (principal, kind), scope = site.subscription.principal(), account.resource_id
    try:
        assign_role(site, site.names.account, scope, BLOB_CONTRIBUTOR, principal, kind)
    except CloudRefusedError as error:
        if error.code == "access_denied" and may_write(site, scope, principal):
            return
        raise
    site.made(ROLE, site.names.role_id, {})


def may_write(site: AzureSite, scope: str, principal: str | None = None) -> bool:
    """Whether anybody, or that principal, may write an account's blobs; inherited roles count."""
    return any(has_role(site, scope, role, principal) for role in BLOB_ROLES)


def ensure_website(site: AzureSite, account: WebAccount) -> None:
    """The static website is on; older management planes drop that silently, hence read back.

    Raises:
        CloudRefusedError: Neither plane switches it on.
    """
    part = website_part(site)
    ensure(site, part)
    if is_website_on(site, part):
        return
    logger.info("static website by the data plane", extra={"account": site.names.account})
    _switch_on(site, account)
    if not is_website_on(site, part) and not is_on_by_data_plane(site, account):
        raise CloudRefusedError(
            f"The static website of {site.names.account} stays off.",
            remedy="Switch it on in Azure's portal, then deploy again.",
        )


def is_website_on(site: AzureSite, part: Part) -> bool:
    return bool(website_of(site.found(f"read {part.what}", part.get)).get("enabled"))


def website_of(found: Document | None) -> Document:
    """What the management plane says of the static website; empty where it knows none."""
    website: Document = (found or {}).get("properties", {}).get("staticWebsite") or {}
    return website


def _switch_on(site: AzureSite, account: WebAccount) -> None:
    from azure.storage.blob import StaticWebsite  # noqa: PLC0415 - heavy, on use only

    website = StaticWebsite(
        enabled=True, index_document=INDEX_DOCUMENT, error_document404_path=MISSING_DOCUMENT
    )
    act = f"switch on the static website of {site.names.account}"
    with azure_errors(act, site.subscription.name), _blob_service(site, account) as service:
        retried(
            lambda: service.set_service_properties(static_website=website),
            again=lambda error: error_code(error) == "AuthorizationPermissionMismatch",
            patience=SPREADS,
            clock=site.clock,
            cancelled=site.cancelled,
        )


def is_on_by_data_plane(site: AzureSite, account: WebAccount) -> bool:
    act = f"read the static website of {site.names.account}"
    with azure_errors(act, site.subscription.name), _blob_service(site, account) as service:
        found: Any = service.get_service_properties()["static_website"]
        return bool(found.enabled)


def _blob_service(site: AzureSite, account: WebAccount) -> Any:
    from azure.storage.blob import BlobServiceClient  # noqa: PLC0415 - heavy, on use only

    return BlobServiceClient(
        account.blob_endpoint,
        credential=site.subscription.credential(),
        **site.subscription.transport_options(),
    )

"""From a session to its side of an AWS account: login, pinned account, names and tags."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from core.cloud.aws import AwsAccount, open_account
from core.cloud.config import CloudConfig
from core.hosts.aws.bucket import bucket_region
from core.hosts.aws.site import BUCKET, AwsSite
from core.hosts.environment import HostEnvironment
from core.hosts.pinning import require_pinned
from core.models.execution import Json
from core.models.session import Session
from core.ports.host import PublishRequest

NOTHING_RUNS = "none"
"""Stands for the execution in tags of an act that makes nothing."""


def names_of(environment: HostEnvironment, session: Session) -> CloudConfig:
    """Names and tags; a dry run brings a suffix that is not stored yet, all others the stored."""
    stored = environment.store.sessions.get(session.key) or session
    return CloudConfig(
        key=session.key,
        site_type=session.site_type,
        installation_id=environment.store.installation_id(),
        suffix=session.name_suffix or stored.name_suffix,
    )


def account_of(
    environment: HostEnvironment, session: Session, region: str | None = None
) -> AwsAccount:
    """The login that the session was made with, in the region of what it has."""
    return open_account(
        session.aws_profile,
        region or region_of(environment, session),
        environment.clock,
        environment.environ,
    )


def region_of(environment: HostEnvironment, session: Session) -> str:
    """Where the site lies; the setting counts for a new one only."""
    recorded = environment.store.sessions.provider_block(session.key).get("region")
    return recorded if isinstance(recorded, str) else environment.settings.aws_region


def open_site(
    environment: HostEnvironment,
    session: Session,
    *,
    execution_id: str = NOTHING_RUNS,
    request: PublishRequest | None = None,
) -> AwsSite:
    """The session's side of the account that it is pinned to.

    Raises:
        LoginNeededError: The profile has no usable login.
        CloudRefusedError: The login acts in another account than the site is in.
    """
    account = account_of(environment, session)
    account_id = account.account_id()
    require_pinned(environment.store, session, account_id, "AWS account")
    names = names_of(environment, session)
    site = AwsSite(
        names=names,
        account=account,
        account_id=account_id,
        region=account.region,
        store=environment.store,
        clock=environment.clock,
        tags=names.tags(execution_id=execution_id, created_at=environment.clock.now()),
        log=(lambda _message, _details: None) if request is None else request.log,
        cancelled=(lambda: False) if request is None else request.cancelled,
    )
    block = environment.store.sessions.provider_block(session.key)
    return site if knows_region(block) else _where_it_was_begun(site)


def knows_region(block: Mapping[str, Json]) -> bool:
    """Whether a deploy got far enough to record where the site lies."""
    return isinstance(block.get("region"), str)


def _where_it_was_begun(site: AwsSite) -> AwsSite:
    """A first deploy that did not end is in the region of its bucket, whatever the setting says.

    The bucket is made first and deleted last, and S3 tells from everywhere where it lies.
    """
    recorded = site.recorded(BUCKET)
    region = bucket_region(site, recorded[0]) if recorded else None
    if region in (None, site.region):
        return site
    return replace(site, account=site.account_in(str(region)), region=str(region))

"""From a session to its side of a subscription: names, login, and the pinned subscription."""

from __future__ import annotations

from core.cloud.config import CloudConfig
from core.hosts.azure.names import AzureNames
from core.hosts.azure.site import AzureSite, open_site
from core.hosts.environment import HostEnvironment
from core.hosts.pinning import require_pinned
from core.models.session import Session

PROVIDER = "Azure subscription"

NO_RUN = "none"
"""Stands for the execution in the tags of an act that makes nothing."""


def opened(environment: HostEnvironment, session: Session, execution_id: str = NO_RUN) -> AzureSite:
    """The session's side; nothing is asked yet. The suffix counts as it is stored now."""
    stored = environment.store.sessions.get(session.key) or session
    config = CloudConfig(
        key=session.key,
        site_type=session.site_type,
        installation_id=environment.store.installation_id(),
        suffix=session.name_suffix or stored.name_suffix,
    )
    return open_site(
        AzureNames(config=config), session, environment.settings, environment.store,
        environment.clock, execution_id,
    )  # fmt: skip


def pinned(environment: HostEnvironment, session: Session, execution_id: str = NO_RUN) -> AzureSite:
    """The same, in the subscription that the site is in.

    Raises:
        LoginNeededError: There is no login, or it does not see the subscription.
        CloudRefusedError: The site is in another subscription.
    """
    site = opened(environment, session, execution_id)
    subscription_id = site.subscription.subscription_id()
    require_pinned(environment.store, session, subscription_id, PROVIDER)
    return site

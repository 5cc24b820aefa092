"""Removing a dynamic site from Azure: names first, then what they lead to, its secrets last.

A record that leads to a name that is free again is an invitation: nothing else goes before it.
"""

from __future__ import annotations

import logging

from core.hosts.azure.dns import remove_record
from core.hosts.azure.own_domain import remove_domain
from core.hosts.azure.site import AzureSite
from core.hosts.azure.teardown import Teardown
from core.hosts.azure.vault import purge_deleted, vault_id
from core.hosts.azure.vm_names import (
    ADDRESS,
    DOMAIN,
    INTERFACE,
    MACHINE,
    NETWORK,
    RECORD,
    SECURITY_GROUP,
    VAULT,
    vault_name,
)
from core.models.release import Destroyed

_LED_TO = "It is kept until no DNS record leads to it"

logger = logging.getLogger(__name__)


class VmTeardown(Teardown):
    """As for static sites, and the machine with what is around it."""

    in_group = (*Teardown.in_group, MACHINE, INTERFACE, ADDRESS, NETWORK, SECURITY_GROUP)
    kinds = (*in_group, VAULT, DOMAIN, RECORD, *Teardown.kinds)

    def run(self) -> Destroyed:
        """Everything of the session; repeatable, and for a half-made session too.

        Raises:
            LoginNeededError: There is no login.
        """
        self._remove_records()
        if not self._left:
            return super().run()
        self._left += [(one, _LED_TO) for one in self._site.recorded(MACHINE)]
        return self._destroyed()

    def leave_front_door(self) -> Destroyed:
        """As for static sites; a domain goes once no route has it."""
        super().leave_front_door()
        for one in self._site.recorded(DOMAIN):
            profile, _slash, name = one.resource_id.partition("/")
            with self._attempting(DOMAIN, one.resource_id, one.tags):
                remove_domain(self._site, profile, name)
                self._done(DOMAIN, one.resource_id, one.tags)
        return self._destroyed()

    def _remove_records(self) -> None:
        for one in self._site.recorded(RECORD):
            with self._attempting(RECORD, one.resource_id, one.tags):
                if remove_record(self._site, one.resource_id):
                    self._done(RECORD, one.resource_id, one.tags)

    def _remove_groups(self) -> None:
        super()._remove_groups()
        if not self._left:
            self._purge_vaults()

    def _purge_vaults(self) -> None:
        """A deleted vault keeps its name and its secrets for days unless it is purged."""
        by_name = vault_id(self._site.location, vault_name(self._site.names))
        recorded = {one.resource_id: one.tags for one in self._site.recorded(VAULT)}
        for resource_id, tags in {by_name: self._site.tags, **recorded}.items():
            location, _slash, name = resource_id.partition("/")
            with self._attempting(VAULT, resource_id, tags):
                if purge_deleted(self._site, location, name) or resource_id in recorded:
                    self._done(VAULT, resource_id, tags)


def leave_front_door(site: AzureSite) -> None:
    """The CDN is not wanted any more; what of it cannot go now goes with the next deploy."""
    for resource, reason in VmTeardown(site).leave_front_door().left:
        logger.warning("left in Front Door", extra={"id": resource.resource_id, "why": reason})

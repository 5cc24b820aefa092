"""Removing what a session has in Azure: by tags, by names, and by what is recorded.

The site's part of Front Door goes before its storage account: the other way round an endpoint
would point at a name that anybody may take.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from core.errors import BuilderError, LoginNeededError
from core.hosts.azure.front_door import remove_endpoint
from core.hosts.azure.groups import group_part, own_groups, remove_group
from core.hosts.azure.names import ACCOUNT, ENDPOINT, GROUP, PROFILE, ROLE, ROUTE
from core.hosts.azure.profiles import SHARING, own_endpoints, own_profiles, remove_unused
from core.hosts.azure.site import AzureSite
from core.models.release import Destroyed, Resource

_WAITS = "It is kept until nothing of Front Door points at it"


logger = logging.getLogger(__name__)


class Teardown:
    """One destroy. What cannot be deleted is left with the reason, the rest goes all the same."""

    in_group: tuple[str, ...] = (ROLE, ACCOUNT)
    """Kinds of what goes with the session's resource group."""
    kinds: tuple[str, ...] = (ROUTE, ENDPOINT, PROFILE, ROLE, ACCOUNT, GROUP)

    def __init__(self, site: AzureSite) -> None:
        self._site = site
        self._deleted: list[Resource] = []
        self._left: list[tuple[Resource, str]] = []

    def run(self) -> Destroyed:
        """Everything of the session; repeatable, and for a half-made session too.

        Raises:
            LoginNeededError: There is no login.
        """
        self.leave_front_door()
        if any(one.kind in (ENDPOINT, PROFILE) for one, _why in self._left):
            self._left += [(one, _WAITS) for one in self._site.recorded(ACCOUNT)]
        else:
            self._remove_groups()
        if not self._left:
            self._forget_all()
        return self._destroyed()

    def leave_front_door(self) -> Destroyed:
        """The session's endpoints, and the shared parts that nobody uses afterwards."""
        names, shared = self._site.names, self._site.shared_tags
        with SHARING, self._attempting(PROFILE, names.profile(1), shared):
            profiles = own_profiles(self._site)
            for profile, endpoint, tags in own_endpoints(self._site, profiles):
                with self._attempting(ENDPOINT, f"{profile}/{endpoint}", tags):
                    remove_endpoint(self._site, profile, endpoint)
                    self._done(ENDPOINT, f"{profile}/{endpoint}", tags)
                    self._done_below(ROUTE, f"{profile}/{endpoint}/")
            if not self._left:
                with self._attempting(GROUP, names.shared_group, shared):
                    for kind, name in remove_unused(self._site, profiles):
                        self._done(kind, name, shared)
        return self._destroyed()

    def _remove_groups(self) -> None:
        with self._attempting(GROUP, self._site.names.group, self._site.tags):
            for name, tags in self._groups().items():
                with self._attempting(GROUP, name, tags):
                    remove_group(self._site, name)
                    self._done(GROUP, name, tags)
                    for kind in self.in_group:
                        self._done_below(kind, "")

    def _groups(self) -> Mapping[str, Mapping[str, str]]:
        """Those with the session's tags, and the one with its name: all must be ours."""
        found = own_groups(self._site)
        part = group_part(self._site)
        by_name = self._site.found(f"look for {part.what}", part.get) or {}
        tags: dict[str, str] = by_name.get("tags") or {}
        if self._site.names.config.owns(tags):
            found[self._site.names.group] = tags
        return found

    @contextmanager
    def _attempting(self, kind: str, resource_id: str, tags: Mapping[str, str]) -> Iterator[None]:
        try:
            yield
        except LoginNeededError:
            raise
        except BuilderError as error:
            resource = Resource(kind=kind, resource_id=resource_id, tags=tags)
            self._left.append((resource, error.message))

    def _done(self, kind: str, resource_id: str, tags: Mapping[str, str]) -> None:
        self._deleted.append(Resource(kind=kind, resource_id=resource_id, tags=tags))
        self._site.gone(kind, resource_id)

    def _done_below(self, kind: str, prefix: str) -> None:
        """What goes with the thing that it lies in."""
        for one in self._site.recorded(kind):
            if one.resource_id.startswith(prefix):
                self._done(kind, one.resource_id, one.tags)

    def _forget_all(self) -> None:
        """What somebody else has deleted, and what other sessions still use."""
        for kind in self.kinds:
            for one in self._site.recorded(kind):
                self._site.gone(kind, one.resource_id)

    def _destroyed(self) -> Destroyed:
        return Destroyed(deleted=tuple(self._deleted), left=tuple(self._left))


def leave_front_door(site: AzureSite) -> None:
    """The CDN is not wanted any more; what of it cannot go now goes with the next deploy."""
    for resource, reason in Teardown(site).leave_front_door().left:
        logger.warning("left in Front Door", extra={"id": resource.resource_id, "why": reason})

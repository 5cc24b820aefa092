"""Deleting what a session has on AWS: a step that fails leaves its thing, with the reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from core.errors import BuilderError
from core.hosts.aws.access_control import (
    access_control_name,
    find_access_control,
    remove_access_control,
)
from core.hosts.aws.bucket import bucket_name, find_bucket, remove_bucket
from core.hosts.aws.distribution import (
    disable_distribution,
    distribution_name,
    owned_distribution,
    remove_distribution,
)
from core.hosts.aws.edge_function import find_function, function_name, remove_function
from core.hosts.aws.inventory import own_buckets, own_distributions
from core.hosts.aws.site import ACCESS_CONTROL, BUCKET, DISTRIBUTION, FUNCTION, AwsSite
from core.models.release import Destroyed, Resource


@dataclass(slots=True)
class Teardown:
    """One destroy: what went, and what is left."""

    site: AwsSite
    deleted: list[Resource] = field(default_factory=list)
    left: list[tuple[Resource, str]] = field(default_factory=list)

    def remove(
        self, kind: str, name: str, *,
        find: Callable[[], str | None], delete: Callable[[str], None], held: str | None = None,
    ) -> bool:  # fmt: skip
        """Delete one thing if it is there and ours; whether nothing of it is left.

        Args:
            name: What it is called where its id is not known yet.
            find: Its id, None where it is gone; raises `name_taken` where it is another one's. Then
                it is left alone, and told only if the records say that it was ours.
            held: Why it cannot be deleted now, if so.
        """
        found: str | None = None
        try:
            found = find()
            if found is not None and held is None:
                delete(found)
                self.deleted.append(Resource(kind=kind, resource_id=found))
        except BuilderError as error:
            if error.code != "name_taken" or name in self.site.recorded(kind):
                self.keep(kind, found or name, error.message)
                return False
        if found is not None and held is not None:
            self.keep(kind, found, held)
            return False
        self.forget(kind, found or name)
        return True

    def keep(self, kind: str, resource_id: str, reason: str) -> None:
        self.left.append((Resource(kind=kind, resource_id=resource_id), reason))

    def forget(self, kind: str, resource_id: str) -> None:
        """Nothing is recorded of what is not there."""
        if resource_id in self.site.recorded(kind):
            self.site.gone(kind, resource_id)

    def outcome(self) -> Destroyed:
        return Destroyed(deleted=tuple(self.deleted), left=tuple(self.left))


def remove_distributions(teardown: Teardown) -> bool:
    """Delete all that are the session's; whether nothing is served any more.

    All are switched off before the first of them is waited for.
    """
    site = teardown.site
    try:
        found = own_distributions(site)
        for one in found:
            if owned_distribution(site, one):
                disable_distribution(site, one)
    except BuilderError as error:
        if error.code != "name_taken":
            for one in site.recorded(DISTRIBUTION) or (distribution_name(site),):
                teardown.keep(DISTRIBUTION, one, error.message)
            return False
    gone = [_remove_distribution(teardown, one) for one in found]
    return all(gone)


def remove_edge_parts(teardown: Teardown, held: str | None) -> None:
    """The function and the access control."""
    site, name = teardown.site, function_name(teardown.site)
    teardown.remove(
        FUNCTION, name,
        find=lambda: name if find_function(site) is not None else None,
        delete=lambda _found: remove_function(site),
        held=held,
    )  # fmt: skip
    teardown.remove(
        ACCESS_CONTROL, (*site.recorded(ACCESS_CONTROL), access_control_name(site))[0],
        find=lambda: find_access_control(site),
        delete=lambda found: remove_access_control(site, found),
        held=held,
    )  # fmt: skip


def remove_buckets(teardown: Teardown, held: str | None) -> None:
    """The session's buckets with all versions of all objects."""
    site, expected = teardown.site, bucket_name(teardown.site)
    try:
        names = own_buckets(site, expected)
    except BuilderError as error:
        teardown.keep(BUCKET, expected, error.message)
        return
    for name in names:
        _remove_bucket(teardown, name, held)


def _remove_distribution(teardown: Teardown, distribution_id: str) -> bool:
    return teardown.remove(
        DISTRIBUTION, distribution_id,
        find=lambda: owned_distribution(teardown.site, distribution_id),
        delete=lambda found: remove_distribution(teardown.site, found),
    )  # fmt: skip


def _remove_bucket(teardown: Teardown, name: str, held: str | None) -> None:
    site = teardown.site

    def find() -> str | None:
        found = find_bucket(site, name)
        return None if found is None else found.name

    teardown.remove(
        BUCKET, name, find=find, delete=lambda found: remove_bucket(site, found), held=held
    )

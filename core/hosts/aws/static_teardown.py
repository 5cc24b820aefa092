"""Deleting what a static site has on AWS, in the order in which things hold one another."""

from __future__ import annotations

from core.hosts.aws.domain_teardown import remove_certificates, remove_records
from core.hosts.aws.site import AwsSite
from core.hosts.aws.teardown import (
    Teardown,
    remove_buckets,
    remove_distributions,
    remove_edge_parts,
)
from core.models.release import Destroyed

_HELD = "The distribution still uses it; it goes when that is deleted."


def remove_static_site(site: AwsSite) -> Destroyed:
    """Names, distribution, function, access control, bucket: what is ours; repeatable.

    A name goes before the distribution, and that before the bucket: the other way round something
    would lead to a free name that somebody else may take.
    """
    teardown = Teardown(site)
    is_gone = remove_records(teardown) and remove_distributions(teardown)
    held = None if is_gone else _HELD
    remove_certificates(teardown, held)
    remove_edge_parts(teardown, held)
    remove_buckets(teardown, held)
    return teardown.outcome()

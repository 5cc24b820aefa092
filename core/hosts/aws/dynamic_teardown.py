"""Deleting what a dynamic site has on AWS, in the order in which things hold one another."""

from __future__ import annotations

from collections.abc import Callable

from core.errors import BuilderError
from core.hosts.aws.domain_teardown import remove_certificates, remove_records
from core.hosts.aws.elastic_ip import ADDRESS, own_addresses, release_address
from core.hosts.aws.instance import INSTANCE, instance_name, own_instances, remove_instance
from core.hosts.aws.opening import knows_region
from core.hosts.aws.parameters import (
    PARAMETER,
    parameter_names,
    parameter_path,
    remove_parameters,
)
from core.hosts.aws.roles import (
    PROFILE,
    ROLE,
    find_profile,
    find_role,
    remove_profile,
    remove_role,
    role_name,
)
from core.hosts.aws.security_group import SECURITY_GROUP, find_group, group_name, remove_group
from core.hosts.aws.site import AwsSite
from core.hosts.aws.teardown import Teardown, remove_buckets, remove_distributions
from core.models.release import Destroyed, Resource

_SERVED = "The distribution still leads to it; it goes when that is deleted."
_USED = "The instance still uses it; it goes when that has ended."
_ANCHORS = "It tells in which region the rest was begun; it goes last."


def remove_dynamic_site(site: AwsSite) -> Destroyed:
    """Names, distribution, instance, address, firewall, rights, variables, archives; repeatable.

    A name goes before what it leads to, and the distribution before the address: a name or an
    address that is free while something still leads to it may become somebody else's.
    """
    teardown = Teardown(site)
    is_gone = remove_records(teardown) and remove_distributions(teardown)
    served = None if is_gone else _SERVED
    remove_certificates(teardown, served)
    used = None if remove_instances(teardown, served) else _USED
    remove_addresses(teardown, used)
    _remove_group(teardown, used)
    _remove_rights(teardown, used)
    _remove_variables(teardown)
    remove_buckets(teardown, used or _anchors(teardown))
    return teardown.outcome()


def _anchors(teardown: Teardown) -> str | None:
    """Why the bucket of a site that was never wholly made stays while anything else does."""
    site = teardown.site
    block = site.store.sessions.provider_block(site.names.key)
    return _ANCHORS if teardown.left and not knows_region(block) else None


def remove_instances(teardown: Teardown, held: str | None) -> bool:
    """End all that are the session's; whether none is left."""
    site = teardown.site
    found = _listed(teardown, INSTANCE, instance_name(site), lambda: _not_ended(site))
    if found is None:
        return False
    ended = [
        teardown.remove(
            INSTANCE, one, find=_known(one),
            delete=lambda instance_id: remove_instance(site, instance_id), held=held,
        )
        for one in found
    ]  # fmt: skip
    for one in site.recorded(INSTANCE):
        if one not in found:
            teardown.forget(INSTANCE, one)
    return all(ended)


def remove_addresses(teardown: Teardown, held: str | None) -> None:
    """Give back all that are the session's."""
    site = teardown.site
    found = _listed(
        teardown, ADDRESS, (*site.recorded(ADDRESS), role_name(site))[0],
        lambda: [str(one["AllocationId"]) for one in own_addresses(site)],
    )  # fmt: skip
    for one in found or ():
        teardown.remove(
            ADDRESS, one, find=_known(one),
            delete=lambda allocation_id: release_address(site, allocation_id), held=held,
        )  # fmt: skip
    for one in site.recorded(ADDRESS):
        if found is not None and one not in found:
            teardown.forget(ADDRESS, one)


def _remove_group(teardown: Teardown, held: str | None) -> None:
    site = teardown.site
    known = (*site.recorded(SECURITY_GROUP), group_name(site))[0]

    def find() -> str | None:
        found = find_group(site)
        return None if found is None else str(found["GroupId"])

    teardown.remove(
        SECURITY_GROUP, known, find=find, delete=lambda found: remove_group(site, found), held=held
    )


def _remove_rights(teardown: Teardown, held: str | None) -> None:
    site, name = teardown.site, role_name(teardown.site)
    is_gone = teardown.remove(
        PROFILE, name, find=lambda: find_profile(site),
        delete=lambda found: remove_profile(site, found), held=held,
    )  # fmt: skip
    teardown.remove(
        ROLE, name, find=lambda: find_role(site), delete=lambda found: remove_role(site, found),
        held=held or (None if is_gone else "The instance profile still holds it."),
    )  # fmt: skip


def _remove_variables(teardown: Teardown) -> None:
    site = teardown.site
    found = _listed(teardown, PARAMETER, parameter_path(site), lambda: parameter_names(site))
    if found is None:
        return
    try:
        deleted = remove_parameters(site, found)
    except BuilderError as error:
        for name in found:
            teardown.keep(PARAMETER, name, error.message)
        return
    teardown.deleted += [Resource(kind=PARAMETER, resource_id=name) for name in deleted]
    for name in site.recorded(PARAMETER):
        teardown.forget(PARAMETER, name)


def _known(resource_id: str) -> Callable[[], str]:
    """Where a list has just shown it, nobody has to look again."""
    return lambda: resource_id


def _listed(
    teardown: Teardown, kind: str, name: str, look: Callable[[], list[str]]
) -> list[str] | None:
    """What the look finds; None where it failed, which is told."""
    try:
        return look()
    except BuilderError as error:
        for one in teardown.site.recorded(kind) or (name,):
            teardown.keep(kind, one, error.message)
        return None


def _not_ended(site: AwsSite) -> list[str]:
    """Those that EC2 still ends count too: what they use is free only afterwards."""
    return [
        str(one["InstanceId"])
        for one in own_instances(site)
        if one["State"]["Name"] != "terminated"
    ]

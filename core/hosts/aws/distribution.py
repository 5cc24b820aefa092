"""The site's CloudFront distribution: made or adopted, changed, awaited, emptied, removed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from core.cloud.aws_errors import error_code
from core.cloud.config import NamedKind
from core.cloud.retrying import Patience, awaited
from core.errors import CloudRefusedError
from core.hosts.aws.distribution_body import (
    Body,
    DistributionWish,
    differences,
    overlaid,
    wanted_body,
)
from core.hosts.aws.managed_policies import resolve_policies
from core.hosts.aws.site import DISTRIBUTION, AwsSite, tag_list, tag_map

DEPLOYS = Patience(deadline_s=1800.0, interval_s=5.0, longest_s=20.0)
"""CloudFront takes minutes to bring a change to its edges."""
INVALIDATES = Patience(deadline_s=900.0, interval_s=1.0, longest_s=5.0)

_GENERATIONS = 5
DISTRIBUTION_MISSING = "distribution_missing"
"""Code of the error that says so."""

_MISSING = "NoSuchDistribution"
_GOES_ON = "CloudFront goes on by itself; run the same command again."


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteDistribution:
    """A distribution that is ours.

    Attributes:
        is_new: Made in this act: no viewer knows it, so no edge holds anything of it.
    """

    distribution_id: str
    arn: str
    domain: str
    is_new: bool = False

    @property
    def url(self) -> str:
        return f"https://{self.domain}"


def distribution_arn(site: AwsSite, distribution_id: str) -> str:
    partition = site.account.partition()
    return f"arn:{partition}:cloudfront::{site.account_id}:distribution/{distribution_id}"


def distribution_name(site: AwsSite) -> str:
    return site.names.name(NamedKind.CLOUDFRONT)


def ensure_distribution(site: AwsSite, wish: DistributionWish) -> SiteDistribution:
    """The session's distribution with the wished configuration; it may still be on its way.

    An existing one that is ours is adopted, and changed only where a wished member differs.
    """
    body = wanted_body(wish, resolve_policies(site, wish.policies))
    known = _recorded(site)
    if known is None:
        return _created(site, wish.name, body)
    _change(site, known.distribution_id, body)
    return known


def await_deployed(site: AwsSite, distribution_id: str) -> None:
    """Return when every edge has the newest configuration.

    Raises:
        TimedOutError: Not within half an hour; CloudFront goes on.
    """

    site.log("waiting for CloudFront", {"kind": DISTRIBUTION, "id": distribution_id})

    def is_deployed() -> bool | None:
        with site.doing(f"look at the distribution {distribution_id}"):
            found = site.cloudfront.get_distribution(Id=distribution_id)["Distribution"]
        return True if found["Status"] == "Deployed" else None

    awaited(
        is_deployed, what=f"The distribution {distribution_id} is deployed", remedy=_GOES_ON,
        patience=DEPLOYS, clock=site.clock, cancelled=site.cancelled,
    )  # fmt: skip


def invalidate(site: AwsSite, distribution_id: str, paths: Sequence[str], reference: str) -> None:
    """Empty the edges of exactly these paths, and return when they are.

    Args:
        reference: What the publish is named by; the same publish of the same paths is one batch.
    """
    wanted = sorted(set(paths))
    caller = hashlib.sha256("\n".join([reference, *wanted]).encode()).hexdigest()
    batch = {"CallerReference": caller, "Paths": {"Quantity": len(wanted), "Items": wanted}}
    with site.doing(f"empty the cache of the distribution {distribution_id}"):
        try:
            answer = site.cloudfront.create_invalidation(
                DistributionId=distribution_id, InvalidationBatch=batch
            )
        except Exception as error:
            if error_code(error) == _MISSING:
                raise _gone(distribution_id) from error
            raise
    invalidation_id = str(answer["Invalidation"]["Id"])
    site.log("cache being emptied", {"id": invalidation_id, "paths": list(wanted)})

    def is_completed() -> bool | None:
        with site.doing(f"look at the invalidation {invalidation_id}"):
            found = site.cloudfront.get_invalidation(
                DistributionId=distribution_id, Id=invalidation_id
            )
        return True if found["Invalidation"]["Status"] == "Completed" else None

    awaited(
        is_completed, what=f"The invalidation {invalidation_id} is completed", remedy=_GOES_ON,
        patience=INVALIDATES, clock=site.clock, cancelled=site.cancelled,
    )  # fmt: skip


def distribution_config(site: AwsSite, distribution_id: str) -> Body | None:
    """The configuration as CloudFront has it; None if there is no such distribution."""
    with site.doing(f"read the distribution {distribution_id}"):
        try:
            answer = site.cloudfront.get_distribution_config(Id=distribution_id)
        except Exception as error:
            if error_code(error) != _MISSING:
                raise
            return None
    return dict(answer["DistributionConfig"])


def find_distributions(site: AwsSite) -> list[SiteDistribution]:
    """Every distribution of the session's name whose tags say that it is ours."""
    name = distribution_name(site)
    with site.doing(f"look for the distribution {name}"):
        named = [one for one in _summaries(site) if one["Comment"] == name]
        return [_from(one) for one in named if site.names.owns(_tags(site, one["ARN"]))]


def distribution_tags(site: AwsSite, arn: str) -> dict[str, str]:
    with site.doing(f"read the tags of {arn}"):
        return _tags(site, arn)


def owned_distribution(site: AwsSite, distribution_id: str) -> str | None:
    """The same id if there is such a distribution and it is ours; None if there is none.

    Raises:
        CloudRefusedError: Its tags are another one's (code `name_taken`).
    """
    arn = distribution_arn(site, distribution_id)
    with site.doing(f"read the tags of {arn}"):
        try:
            tags = _tags(site, arn)
        except Exception as error:
            if error_code(error) not in (_MISSING, "NoSuchResource"):
                raise
            return None
    site.require_own(f"The distribution {distribution_id}", tags)
    return distribution_id


def disable_distribution(site: AwsSite, distribution_id: str) -> None:
    """Switch it off. It can be deleted once that has reached every edge."""
    _change(site, distribution_id, {"Enabled": False})


def remove_distribution(site: AwsSite, distribution_id: str) -> None:
    """Switch it off everywhere, then delete it; missing is fine."""
    disable_distribution(site, distribution_id)
    await_deployed(site, distribution_id)
    with site.doing(f"delete the distribution {distribution_id}"):
        _unless_gone(lambda: _delete(site, distribution_id))
    site.gone(DISTRIBUTION, distribution_id)


def _recorded(site: AwsSite) -> SiteDistribution | None:
    """The recorded one, if it is there and still ours."""
    for distribution_id in site.recorded(DISTRIBUTION):
        with site.doing(f"look at the distribution {distribution_id}"):
            try:
                found = site.cloudfront.get_distribution(Id=distribution_id)["Distribution"]
            except Exception as error:
                if error_code(error) != _MISSING:
                    raise
                site.gone(DISTRIBUTION, distribution_id)
                continue
            site.require_own(f"The distribution {distribution_id}", _tags(site, found["ARN"]))
            return _from(found)
    return None


def _created(site: AwsSite, name: str, body: Body) -> SiteDistribution:
    """Make it, or adopt what an earlier try has made; a deleted one's reference stays used up."""
    for generation in range(1, _GENERATIONS + 1):
        reference = name if generation == 1 else f"{name}-{generation}"
        made = _create(site, reference, body)
        if made is not None:
            return made
        adopted = _adopted(site, body)
        if adopted is not None:
            return adopted
    raise CloudRefusedError(
        f"CloudFront refuses to make the distribution {name}: its references are used up.",
        remedy="Deploy with --suffix and a word of your own, which makes another name.",
        code="name_taken",
    )


def _create(site: AwsSite, reference: str, body: Body) -> SiteDistribution | None:
    """The new distribution; None where the reference was used before."""
    wanted = {
        "DistributionConfig": {**body, "CallerReference": reference},
        "Tags": {"Items": tag_list(site.tags)},
    }

    def create() -> Any:
        try:
            return site.cloudfront.create_distribution_with_tags(DistributionConfigWithTags=wanted)
        except Exception as error:
            if error_code(error) != "DistributionAlreadyExists":
                raise
            return None

    answer = site.settled(
        f"make the distribution {reference}", create,
        "InvalidOriginAccessControl", "InvalidFunctionAssociation", "NoSuchFunctionExists",
    )  # fmt: skip
    if answer is None:
        return None
    made = _from(answer["Distribution"], is_new=True)
    site.made(DISTRIBUTION, made.distribution_id)
    return made


def _adopted(site: AwsSite, body: Body) -> SiteDistribution | None:
    found = find_distributions(site)
    if not found:
        return None
    site.made(DISTRIBUTION, found[0].distribution_id, distribution_tags(site, found[0].arn))
    _change(site, found[0].distribution_id, body)
    return found[0]


def _change(site: AwsSite, distribution_id: str, wanted: Body) -> None:
    """Bring the named members to their values; nothing is sent where they have them."""
    with site.doing(f"change the distribution {distribution_id}"):
        answer = site.cloudfront.get_distribution_config(Id=distribution_id)
        found = dict(answer["DistributionConfig"])
        if differences(wanted, found):
            site.cloudfront.update_distribution(
                Id=distribution_id, IfMatch=answer["ETag"],
                DistributionConfig=overlaid(wanted, found),
            )  # fmt: skip


def _delete(site: AwsSite, distribution_id: str) -> None:
    etag = site.cloudfront.get_distribution_config(Id=distribution_id)["ETag"]
    site.cloudfront.delete_distribution(Id=distribution_id, IfMatch=etag)


def _unless_gone(act: Callable[[], None]) -> None:
    try:
        act()
    except Exception as error:
        if error_code(error) != _MISSING:
            raise


def _summaries(site: AwsSite) -> Iterator[dict[str, Any]]:
    for page in site.cloudfront.get_paginator("list_distributions").paginate():
        yield from page["DistributionList"].get("Items", [])


def _tags(site: AwsSite, arn: str) -> dict[str, str]:
    answer = site.cloudfront.list_tags_for_resource(Resource=arn)
    return tag_map(answer["Tags"].get("Items", []))


def _from(found: dict[str, Any], *, is_new: bool = False) -> SiteDistribution:
    return SiteDistribution(
        distribution_id=str(found["Id"]), arn=str(found["ARN"]),
        domain=str(found["DomainName"]), is_new=is_new,
    )  # fmt: skip


def _gone(distribution_id: str) -> CloudRefusedError:
    return CloudRefusedError(
        f"The distribution {distribution_id} is not there any more.",
        remedy="Deploy again: what is missing is made anew.",
        code=DISTRIBUTION_MISSING,
    )

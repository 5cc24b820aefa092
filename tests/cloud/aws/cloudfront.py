"""CloudFront: distributions and invalidations, strict where the real one is.

Nothing of moto is used: it forgets what a distribution is made of. A change takes polls, not time:
the first look at a distribution or invalidation says InProgress, the next one that it is done, and
only then do the edges follow.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol
from urllib.parse import quote, unquote

from werkzeug.wrappers import Response

from tests.cloud.aws.cloudfront_functions import FunctionShelf
from tests.cloud.aws.cloudfront_policies import ManagedPolicies
from tests.cloud.aws.cloudfront_shapes import check_config, with_defaults
from tests.cloud.aws.origin_access_controls import OriginAccessControls
from tests.cloud.aws.required_tags import items_of, pairs, require_tags
from tests.cloud.aws.wire import Call, RefusedError, answer, read_values

PAGE = 2
"""So few to a page that whoever forgets to turn it is found out."""
MADE = datetime(2026, 1, 12, 14, 22, 33, tzinfo=UTC)


class Edge(Protocol):
    """What serves a distribution to viewers."""

    address: str

    def forget(self, path: str) -> None: ...

    def close(self) -> None: ...


@dataclass(kw_only=True)
class Invalidation:
    """A batch of paths; the edges forget them when it is completed."""

    invalidation_id: str
    batch: dict[str, Any]
    looks: int = 0

    @property
    def status(self) -> str:
        return "Completed" if self.looks > 1 else "InProgress"


@dataclass(kw_only=True)
class Distribution:
    """A distribution: what was asked for, and what the edges serve by now."""

    distribution_id: str
    arn: str
    config: dict[str, Any]
    tags: dict[str, str]
    version: int = 1
    looks: int = 0
    live: dict[str, Any] | None = None
    invalidations: list[Invalidation] = field(default_factory=list)
    edge: Edge | None = None

    @property
    def etag(self) -> str:
        return f"E{self.distribution_id[1:6]}V{self.version}"

    @property
    def status(self) -> str:
        return "Deployed" if self.live == self.config else "InProgress"

    @property
    def address(self) -> str:
        assert self.edge is not None
        return self.edge.address

    def look(self) -> None:
        """One poll: what is under way is done at the second one."""
        self.looks += 1
        if self.looks > 1:
            self.live = deepcopy(self.config)


class CloudFront:
    """The service of one account."""

    def __init__(self, account_id: str, open_edge: Callable[[Distribution], Edge]) -> None:
        self.account_id = account_id
        self.distributions: dict[str, Distribution] = {}
        self.functions = FunctionShelf(account_id, self._uses_function)
        self.access_controls = OriginAccessControls(self._uses_access_control)
        self.policies = ManagedPolicies()
        self.used_references: set[str] = set()
        """References of distributions that were deleted: CloudFront may remember them."""
        self.is_stuck = False
        """Nothing that is under way is ever done."""
        self._open_edge = open_edge
        self._made = 0
        self._lock = threading.RLock()

    def answer(self, call: Call) -> Response | None:
        if call.region != "us-east-1":
            raise RefusedError("SignatureDoesNotMatch", "CloudFront is signed for us-east-1", 403)
        for part in (self, self.functions, self.access_controls, self.policies):
            handler = getattr(part, f"on_{call.operation}", None)
            if handler is not None:
                with self._lock:
                    values = read_values(call)
                    return answer(call, handler(values))
        raise RefusedError("NotImplemented", f"the stand-in has no {call.operation}", 501)

    def after(self, call: Call, response: Response) -> None:
        """Nothing goes to moto."""

    def empty(self) -> None:
        for one in self.distributions.values():
            if one.edge is not None:
                one.edge.close()
        self.distributions.clear()
        self.used_references.clear()
        self.is_stuck = False
        self.functions.shelf.clear()
        self.access_controls.empty()
        self._made = 0

    def close(self) -> None:
        self.empty()
        self.functions.close()

    # Distributions.

    def on_CreateDistribution(self, values: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        require_tags({})
        return values

    def on_CreateDistributionWithTags(self, values: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        wanted = values["DistributionConfigWithTags"]
        config, tags = wanted["DistributionConfig"], pairs(wanted["Tags"].get("Items", []))
        used = {one.config["CallerReference"] for one in self.distributions.values()}
        if config["CallerReference"] in used | self.used_references:
            raise RefusedError("DistributionAlreadyExists", config["CallerReference"], 409)
        require_tags(tags)
        self._check(config)
        self._made += 1
        name = f"E{self._made:013d}"
        made = Distribution(
            distribution_id=name, config=with_defaults(config), tags=tags,
            arn=f"arn:aws:cloudfront::{self.account_id}:distribution/{name}",
        )  # fmt: skip
        made.edge = self._open_edge(made)
        self.distributions[name] = made
        return {
            "Distribution": self._document(made),
            "ETag": made.etag,
            "Location": f"https://cloudfront.amazonaws.com/2020-05-31/distribution/{name}",
        }

    def on_GetDistribution(self, values: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        found = self._found(values["Id"])
        if not self.is_stuck:
            found.look()
        return {"Distribution": self._document(found), "ETag": found.etag}

    def on_GetDistributionConfig(self, values: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        found = self._found(values["Id"])
        return {"DistributionConfig": found.config, "ETag": found.etag}

    def on_UpdateDistribution(self, values: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        found, config = self._found(values["Id"]), values["DistributionConfig"]
        _check_version(values, found.etag)
        if config["CallerReference"] != found.config["CallerReference"]:
            raise RefusedError("IllegalUpdate", "the caller reference cannot change")
        if forgotten := set(found.config) - set(config):
            raise RefusedError("IllegalUpdate", f"an update names every member: {forgotten}")
        self._check(config)
        found.config, found.looks = with_defaults(config), 0
        found.version += 1
        return {"Distribution": self._document(found), "ETag": found.etag}

    def on_DeleteDistribution(self, values: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        found = self._found(values["Id"])
        _check_version(values, found.etag)
        if found.config["Enabled"] or found.status != "Deployed":
            raise RefusedError("DistributionNotDisabled", "disable it and wait", 409)
        assert found.edge is not None
        found.edge.close()
        del self.distributions[found.distribution_id]
        self.used_references.add(found.config["CallerReference"])
        return {}

    def on_ListDistributions(self, values: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        names = sorted(self.distributions)
        start = values.get("Marker", "")
        shown = [name for name in names if name > start][:PAGE]
        more = bool(shown) and shown[-1] != names[-1]
        listed: dict[str, Any] = {
            "Marker": start, "MaxItems": PAGE, "IsTruncated": more, "Quantity": len(shown),
            "Items": [self._summary(self.distributions[name]) for name in shown],
        }  # fmt: skip
        if more:
            listed["NextMarker"] = shown[-1]
        return {"DistributionList": listed}

    # Invalidations.

    def on_CreateInvalidation(self, values: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        found, batch = self._found(values["DistributionId"]), values["InvalidationBatch"]
        paths = batch["Paths"].get("Items", [])
        if batch["Paths"]["Quantity"] != len(paths) or not paths:
            raise RefusedError("InconsistentQuantities", "the count of paths is wrong")
        for path in paths:
            if not path.startswith("/") or quote(path, safe="/%*~()!$&'+,;=:@") != path:
                raise RefusedError("InvalidArgument", f"the path {path!r} is not an encoded URL's")
        for known in found.invalidations:
            if known.batch["CallerReference"] == batch["CallerReference"]:
                if known.batch != batch:
                    raise RefusedError("InvalidationBatchAlreadyExists", "other paths")
                return self._invalidation(known)
        made = Invalidation(
            invalidation_id=f"I{len(found.invalidations) + 1:013d}", batch=deepcopy(batch)
        )
        found.invalidations.append(made)
        return self._invalidation(made)

    def on_GetInvalidation(self, values: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        found = self._found(values["DistributionId"])
        for one in found.invalidations:
            if one.invalidation_id == values["Id"]:
                one.looks += 1
                if one.status == "Completed" and found.edge is not None:
                    for path in one.batch["Paths"]["Items"]:
                        found.edge.forget(unquote(path))
                return self._invalidation(one)
        raise RefusedError("NoSuchInvalidation", values["Id"], 404)

    # Tags.

    def on_ListTagsForResource(self, values: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"Tags": {"Items": items_of(self._tagged(values["Resource"]))}}

    def on_TagResource(self, values: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        self._tagged(values["Resource"]).update(pairs(values["Tags"].get("Items", [])))
        return {}

    def on_UntagResource(self, values: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        for name in values["TagKeys"].get("Items", []):
            self._tagged(values["Resource"]).pop(name, None)
        return {}

    def tagged(self) -> dict[str, dict[str, str]]:
        """Tags by ARN, for the tagging service."""
        with self._lock:
            own = {one.arn: one.tags for one in self.distributions.values()}
            return {**own, **{one.arn: one.tags for one in self.functions.shelf.values()}}

    def _tagged(self, arn: str) -> dict[str, str]:
        found = self.tagged().get(arn)
        if found is None:
            raise RefusedError("NoSuchResource", arn, 404)
        return found

    def _found(self, name: str) -> Distribution:
        if name not in self.distributions:
            raise RefusedError("NoSuchDistribution", f"there is no distribution {name}", 404)
        return self.distributions[name]

    def _check(self, config: dict[str, Any]) -> None:
        check_config(
            config,
            has_access_control=lambda name: name in self.access_controls.controls,
            has_function=self.functions.is_live,
            has_policy=self.policies.knows,
        )

    def _uses_function(self, arn: str) -> bool:
        return any(
            one["FunctionARN"] == arn
            for distribution in self.distributions.values()
            for one in distribution.config["DefaultCacheBehavior"]["FunctionAssociations"].get(
                "Items", []
            )
        )

    def _uses_access_control(self, name: str) -> bool:
        return any(
            origin.get("OriginAccessControlId") == name
            for distribution in self.distributions.values()
            for origin in distribution.config["Origins"]["Items"]
        )

    def _document(self, one: Distribution) -> dict[str, Any]:
        return {
            "Id": one.distribution_id, "ARN": one.arn, "Status": one.status,
            "LastModifiedTime": MADE, "InProgressInvalidationBatches": 0,
            "DomainName": one.address, "DistributionConfig": one.config,
        }  # fmt: skip

    def _summary(self, one: Distribution) -> dict[str, Any]:
        shown = {"Aliases", "Origins", "OriginGroups", "DefaultCacheBehavior", "CacheBehaviors",
                 "CustomErrorResponses", "Comment", "PriceClass", "Enabled", "ViewerCertificate",
                 "Restrictions", "WebACLId", "HttpVersion", "IsIPV6Enabled", "Staging"}  # fmt: skip
        return {
            "Id": one.distribution_id, "ARN": one.arn, "Status": one.status,
            "LastModifiedTime": MADE, "DomainName": one.address,
            **{name: value for name, value in one.config.items() if name in shown},
        }  # fmt: skip

    def _invalidation(self, one: Invalidation) -> dict[str, Any]:
        return {
            "Location": f"https://cloudfront.amazonaws.com/invalidation/{one.invalidation_id}",
            "Invalidation": {
                "Id": one.invalidation_id, "Status": one.status, "CreateTime": MADE,
                "InvalidationBatch": one.batch,
            },
        }  # fmt: skip


def _check_version(values: dict[str, Any], etag: str) -> None:
    given = values.get("IfMatch")
    if given is None:
        raise RefusedError("InvalidIfMatchVersion", "If-Match is missing")
    if given != etag:
        raise RefusedError("PreconditionFailed", f"{given} is not the current version", 412)

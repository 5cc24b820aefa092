"""One session's side of one AWS account, while one act goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from core.clock import Clock
from core.cloud.aws import GLOBAL_REGION, AwsAccount
from core.cloud.aws_errors import aws_errors, error_code
from core.cloud.config import CloudConfig
from core.cloud.retrying import Patience, awaited, retried
from core.errors import CloudRefusedError
from core.models.release import Resource
from core.ports.host import Log
from core.store.store import Store

BUCKET = "s3_bucket"
DISTRIBUTION = "cloudfront_distribution"
FUNCTION = "cloudfront_function"
ACCESS_CONTROL = "cloudfront_oac"

SETTLES = Patience(deadline_s=120.0, interval_s=2.0)
"""AWS needs this long at most until all its parts know what one of them has just accepted."""

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsSite:
    """Where names, tags, records, clients and patience of one session come from.

    Attributes:
        tags: What everything that is made in this act is tagged with.
    """

    names: CloudConfig
    account: AwsAccount
    account_id: str
    region: str
    store: Store
    clock: Clock
    tags: Mapping[str, str]
    log: Log = lambda _message, _details: None
    cancelled: Callable[[], bool] = lambda: False

    def account_in(self, region: str) -> AwsAccount:
        """The same login elsewhere, for libraries that take the region from it."""
        return self.account.elsewhere(region)

    def client(self, service: str, region: str | None = None) -> Any:
        return self.account.client(service, region or self.region)

    @property
    def cloudfront(self) -> Any:
        return self.account.client("cloudfront", GLOBAL_REGION)

    @contextmanager
    def doing(self, act: str) -> Iterator[None]:
        """Errors inside become ours: `AWS refused to {act}`."""
        with aws_errors(act, self.account.profile):
            yield

    def settled(self, act: str, call: Callable[[], Answer], *codes: str) -> Answer:
        """The answer of a call that AWS refuses with these codes until it has caught up."""
        with self.doing(act):
            return retried(
                call,
                again=lambda error: error_code(error) in codes,
                patience=SETTLES,
                clock=self.clock,
                cancelled=self.cancelled,
            )

    def seen(self, what: str, probe: Callable[[], Answer | None]) -> Answer:
        """What a look answers once it shows what AWS has accepted a moment ago."""
        return awaited(
            probe, what=f"{what} is seen", remedy="Run the same command again.",
            patience=SETTLES, clock=self.clock, cancelled=self.cancelled,
        )  # fmt: skip

    def made(self, kind: str, resource_id: str, tags: Mapping[str, str] | None = None) -> None:
        """Record it: from now on `destroy` knows it, whatever happens next."""
        resource = Resource(
            kind=kind, resource_id=resource_id, tags=self.tags if tags is None else tags
        )
        self.store.sessions.add_resource(self.names.key, resource)
        self.log(f"{kind} ready", {"kind": kind, "id": resource_id})

    def gone(self, kind: str, resource_id: str) -> None:
        self.store.sessions.forget_resource(self.names.key, kind, resource_id)
        self.log(f"{kind} deleted", {"kind": kind, "id": resource_id})

    def recorded(self, kind: str) -> tuple[str, ...]:
        """Ids of that kind, by the records."""
        resources = self.store.sessions.resources(self.names.key)
        return tuple(one.resource_id for one in resources if one.kind == kind)

    def require_own(self, what: str, tags: Mapping[str, str]) -> None:
        """Refuse to touch what another session, installation or program has made."""
        if self.names.owns(tags):
            return
        raise CloudRefusedError(
            f"{what} exists already and its tags do not say that it is this site's.",
            remedy="Deploy with --suffix and a word of your own, which makes another name.",
            code="name_taken",
        )


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags as AWS writes them."""
    return [{"Key": name, "Value": value} for name, value in tags.items()]


def tag_map(tags: list[dict[str, str]]) -> dict[str, str]:
    return {one["Key"]: one.get("Value", "") for one in tags}

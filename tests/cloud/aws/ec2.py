"""EC2 of one account. Nothing of moto is used: it knows neither tokens nor dependencies."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from werkzeug.wrappers import Response

from tests.cloud.aws.ec2_instances import Instances
from tests.cloud.aws.ec2_network import Network
from tests.cloud.aws.ec2_region import Machine, Region
from tests.cloud.aws.query import read_form
from tests.cloud.aws.wire import Call, RefusedError, answer


class Ec2:
    """The service: regions with instances, groups and addresses.

    Args:
        origins: Filled with where each public name leads to now, for the edges.
        leads_to: Whether a distribution or a record still leads to a public name.
    """

    def __init__(
        self,
        role_of: Callable[[str], str | None],
        boot: Callable[[str, str], Machine],
        origins: dict[str, tuple[str, int]],
        leads_to: Callable[[str], bool],
    ) -> None:
        self.regions: defaultdict[str, Region] = defaultdict(Region)
        self.instances = Instances(role_of, boot)
        self._network = Network()
        self.violations: list[str] = []
        self.held_group: str | None = None
        self._origins = origins
        self._leads_to = leads_to
        self._lock = threading.RLock()

    @property
    def region(self) -> Region:
        """The one that tests use."""
        return self.regions["us-east-1"]

    def answer(self, call: Call) -> Response | None:
        for part in (self._network, self.instances):
            handler = getattr(part, f"on_{call.operation}", None)
            if handler is not None:
                with self._lock:
                    self._watch(call)
                    values: dict[str, Any] = handler(self.regions[call.region], read_form(call))
                    self.reroute()
                return (
                    answer(call, values) if values else Response("<Done/>", content_type="text/xml")
                )
        raise RefusedError("InvalidAction", f"the stand-in has no {call.operation}")

    def after(self, call: Call, response: Response) -> None:
        """Nothing goes to moto."""

    def _watch(self, call: Call) -> None:
        """An address that is given back while something leads to it may become anybody's."""
        if call.operation == "DeleteSecurityGroup" and self.held_group is not None:
            raise RefusedError("DependencyViolation", f"{self.held_group} is used elsewhere")
        if call.operation == "ReleaseAddress":
            found = self.regions[call.region].addresses.get(read_form(call)["AllocationId"])
            if found is not None and self._leads_to(found.public_name):
                self.violations.append(f"{found.public_name} was given back while it is used")

    def empty(self) -> None:
        self.violations.clear()
        self.held_group = None
        for region in self.regions.values():
            for one in region.instances.values():
                if one.machine is not None:
                    one.machine.close()
        self.regions.clear()
        self.instances.empty()
        self.reroute()

    def stop(self, instance_id: str) -> None:
        """As somebody does by hand."""
        self.region.instance(instance_id).turn("stopped")
        self.reroute()

    def end(self, instance_id: str) -> None:
        """As somebody does by hand, a while ago."""
        self.region.instance(instance_id).turn("terminated")
        for address in self.region.addresses.values():
            if address.instance_id == instance_id:
                address.association_id = address.instance_id = None
        self.reroute()

    def hold(self, group_id: str | None) -> None:
        """Let something else use this group, so that it cannot be deleted."""
        self.held_group = group_id

    def reroute(self) -> None:
        """A name leads to a machine that runs, behind a firewall that lets CloudFront in."""
        self._origins.clear()
        for region in self.regions.values():
            for address in region.addresses.values():
                one = region.instances.get(address.instance_id or "")
                if one is None or one.state != "running" or one.machine is None:
                    continue
                groups = [region.groups[name] for name in one.groups if name in region.groups]
                if any(group.lets_cloudfront_in() for group in groups):
                    self._origins[address.public_name] = ("127.0.0.1", one.machine.port)

    def tagged(self) -> dict[str, dict[str, str]]:
        """Tags by id of everything that is there."""
        found: dict[str, dict[str, str]] = {}
        for region in self.regions.values():
            found |= {one.group_id: one.tags for one in region.groups.values()}
            found |= {one.allocation_id: one.tags for one in region.addresses.values()}
            for one in region.instances.values():
                if not one.is_ended:
                    found |= {f"{one.instance_id}/{kind}": tags for kind, tags in one.tags.items()}
        return found

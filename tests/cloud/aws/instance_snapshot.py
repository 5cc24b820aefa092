"""All that an account with instances and a site's records hold, equal after equal histories."""

from __future__ import annotations

import json
from typing import Any

from core.hosts.instance.variables import ORIGIN_KEY
from tests.cloud.aws.instance_place import InstancePlace
from tests.cloud.aws.machines import QuickMachine
from tests.cloud.aws.site_kit import CloudSite
from tests.cloud.aws.snapshot import snapshot


def instance_snapshot(place: InstancePlace, site: CloudSite) -> dict[str, Any]:
    """Account, records, what viewers see, and what the instance holds."""
    region = place.ec2.region
    state = {
        **snapshot(place.aws, site),
        "iam": place.iam.state(),
        "groups": [
            {"name": one.name, "rules": sorted(map(str, one.rules)), "tags": _tags(one.tags)}
            for one in region.groups.values()
        ],
        "addresses": [
            {"leads_to": one.instance_id, "tags": _tags(one.tags)}
            for one in region.addresses.values()
        ],
        "instances": [
            {
                "asked": {**one.asked, "TagSpecifications": None}, "state": one.state,
                "tags": {kind: _tags(tags) for kind, tags in one.tags.items()},
                "machine": _machine(one.machine),
            }
            for one in place.live()
        ],
        "parameters": {
            one.name: (one.value, _tags(one.tags)) for one in place.ssm.parameters.values()
        },
        "zones": {zone.name: sorted(map(str, zone.records.values()))
                    for zone in place.route53.zones.values()},
        "certificates": [
            {"domain": one.domain, "status": one.status, "tags": _tags(one.tags)}
            for one in place.acm.certificates.values()
        ],
    }  # fmt: skip
    return json.loads(_without_ids(place, json.dumps(state, sort_keys=True, default=str)))  # type: ignore[no-any-return]


def _machine(machine: Any) -> dict[str, Any] | None:
    if not isinstance(machine, QuickMachine):
        return None
    return {
        "release": machine.release_id, "variables": machine.variables, "agent": machine.agent,
        "key": machine.key,
    }  # fmt: skip


def _tags(tags: dict[str, str]) -> dict[str, str]:
    return {**tags, "CreatedAt": "then", "InstallationID": "one"}


def _without_ids(place: InstancePlace, text: str) -> str:
    region = place.ec2.region
    for parameter in place.ssm.parameters.values():
        if parameter.name.endswith(f"/{ORIGIN_KEY}"):
            text = text.replace(parameter.value, "K")
    for one in region.addresses.values():
        text = text.replace(one.public_name, "N").replace(one.allocation_id, "P")
    for number, instance in enumerate(place.live()):
        text = text.replace(instance.instance_id, f"I{number}").replace(instance.token, "T")
    for number, group_id in enumerate(region.groups):
        text = text.replace(group_id, f"G{number}")
    for number, arn in enumerate(place.acm.certificates):
        text = text.replace(arn, f"C{number}")
    for number, distribution in enumerate(place.aws.cloudfront.distributions.values()):
        text = text.replace(distribution.distribution_id, f"D{number}")
        text = text.replace(distribution.address, f"A{number}")
    return text

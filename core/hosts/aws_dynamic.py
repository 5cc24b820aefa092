"""Dynamic sites on AWS: a program on an instance of its own, served by CloudFront."""

from __future__ import annotations

from core.hosts.aws.dynamic_host import AwsDynamicHost
from core.hosts.environment import HostEnvironment
from core.ports.host import Host


def create(environment: HostEnvironment) -> Host:
    return AwsDynamicHost(environment)

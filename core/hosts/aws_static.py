"""Static sites on AWS: files in a private bucket, served by CloudFront."""

from __future__ import annotations

from core.hosts.aws.static_host import AwsStaticHost
from core.hosts.environment import HostEnvironment
from core.ports.host import Host


def create(environment: HostEnvironment) -> Host:
    return AwsStaticHost(environment)

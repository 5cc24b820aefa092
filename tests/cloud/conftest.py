"""The clouds' stand-ins, for all tests of this folder."""

from __future__ import annotations

from tests.cloud.aws.fixtures import aws_certificates, aws_place, aws_server
from tests.cloud.aws.instance_place import instance_place, instance_server
from tests.cloud.azure.fixtures import azure_place, azure_server

__all__ = [
    "aws_certificates",
    "aws_place",
    "aws_server",
    "azure_place",
    "azure_server",
    "instance_place",
    "instance_server",
]

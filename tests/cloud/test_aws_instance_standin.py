"""The stand-in of EC2, SSM, IAM, Route 53 and ACM refuses what the real services refuse."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from core.hosts.instance.commands import user_data
from tests.cloud.aws.ec2_instances import NEWEST_IMAGE
from tests.cloud.aws.ec2_region import CLOUDFRONT_LIST, NETWORK
from tests.cloud.aws.fixtures import PROFILE
from tests.cloud.aws.instance_place import InstancePlace
from tests.cloud.aws.required_tags import EVERYWHERE, OF_A_SESSION

TAGS = [{"Key": name, "Value": "x"} for name in sorted(EVERYWHERE | OF_A_SESSION)]
_clients: dict[tuple[str, str], Any] = {}


@pytest.fixture
def place(instance_place: InstancePlace) -> Iterator[InstancePlace]:
    instance_place.is_quick = True
    yield instance_place
    instance_place.empty()


def client(place: InstancePlace, service: str) -> Any:
    known = (place.aws.url, service)
    if known not in _clients:
        session = boto3.Session(profile_name=PROFILE, region_name="us-east-1")
        _clients[known] = session.client(service)
    return _clients[known]


def code_of(call: Any, **values: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**values)
    return str(caught.value.response["Error"]["Code"])


def tagged(*kinds: str) -> list[dict[str, Any]]:
    return [{"ResourceType": kind, "Tags": TAGS} for kind in kinds]


def new_group(place: InstancePlace) -> str:
    answer = client(place, "ec2").create_security_group(
        GroupName="g", Description="d", VpcId=NETWORK, TagSpecifications=tagged("security-group")
    )
    return str(answer["GroupId"])


def request(place: InstancePlace, **other: Any) -> dict[str, Any]:
    """What a run needs; the profile is known to EC2 after two refusals."""
    iam = client(place, "iam")
    if not place.iam.state()["profiles"]:
        trust = (
            '{"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",'
            ' "Principal": {"Service": "ec2.amazonaws.com"}}], "Version": "2012-10-17"}'
        )
        iam.create_role(RoleName="p", AssumeRolePolicyDocument=trust, Tags=TAGS)
        iam.create_instance_profile(InstanceProfileName="p", Tags=TAGS)
        iam.add_role_to_instance_profile(InstanceProfileName="p", RoleName="p")
    disk = {"VolumeType": "gp3", "Encrypted": True, "VolumeSize": 8, "DeleteOnTermination": True}
    wanted = {
        "ClientToken": "t", "MinCount": 1, "MaxCount": 1, "ImageId": NEWEST_IMAGE,
        "InstanceType": "t4g.micro", "IamInstanceProfile": {"Name": "p"},
        "SecurityGroupIds": [next(iter(place.ec2.region.groups), None) or new_group(place)],
        "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 1},
        "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": disk}], "UserData": user_data(),
        "TagSpecifications": tagged("instance", "volume", "network-interface"),
    }  # fmt: skip
    return {**wanted, **other}


def run(place: InstancePlace) -> str:
    """An instance that runs."""
    ec2, wanted = client(place, "ec2"), request(place)
    for _refused in range(2):
        assert code_of(ec2.run_instances, **wanted) == "InvalidParameterValue"
    instance_id = str(ec2.run_instances(**wanted)["Instances"][0]["InstanceId"])
    for _look in range(4):
        ec2.describe_instances()
    return instance_id


def test_one_token_makes_one_instance_and_takes_no_other_request(place: InstancePlace) -> None:
    instance_id = run(place)
    ec2 = client(place, "ec2")
    again = ec2.run_instances(**request(place))["Instances"][0]["InstanceId"]
    other = request(place, TagSpecifications=tagged("volume"))
    assert again == instance_id
    assert code_of(ec2.run_instances, **other) == "IdempotentParameterMismatch"
    assert len(place.live()) == 1


@pytest.mark.parametrize(
    "other",
    [
        {"MetadataOptions": {"HttpTokens": "optional", "HttpPutResponseHopLimit": 1}},
        {"MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 2}},
        {"KeyName": "mine"},
        {"TagSpecifications": tagged("instance")},
        {"BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {
            "VolumeType": "gp3", "Encrypted": False, "DeleteOnTermination": True}}]},
    ],
)  # fmt: skip
def test_an_instance_that_is_open_untagged_or_not_encrypted_is_refused(
    place: InstancePlace, other: dict[str, Any]
) -> None:
    wanted = request(place, **other)
    assert code_of(client(place, "ec2").run_instances, **wanted) == "UnauthorizedOperation"


def test_a_port_for_everybody_is_refused(place: InstancePlace) -> None:
    rule = {
        "IpProtocol": "tcp",
        "FromPort": 22,
        "ToPort": 22,
        "IpRanges": [{"CidrIp": "0.0.0.0/0"}],
    }
    found = code_of(
        client(place, "ec2").authorize_security_group_ingress,
        GroupId=new_group(place), IpPermissions=[rule],
    )  # fmt: skip
    assert found == "UnauthorizedOperation"


def test_cloudfronts_list_fits_into_a_group_once(place: InstancePlace) -> None:
    group_id, ec2 = new_group(place), client(place, "ec2")
    rules = [
        {"IpProtocol": "tcp", "FromPort": port, "ToPort": port,
         "PrefixListIds": [{"PrefixListId": CLOUDFRONT_LIST}]}
        for port in (80, 443)
    ]  # fmt: skip
    ec2.authorize_security_group_ingress(GroupId=group_id, IpPermissions=rules[:1])
    found = code_of(ec2.authorize_security_group_ingress, GroupId=group_id, IpPermissions=rules[1:])
    assert found == "RulesPerSecurityGroupLimitExceeded"


def test_a_group_and_an_address_in_use_cannot_be_removed(place: InstancePlace) -> None:
    instance_id, ec2 = run(place), client(place, "ec2")
    address = ec2.allocate_address(Domain="vpc", TagSpecifications=tagged("elastic-ip"))
    allocation_id = address["AllocationId"]
    ec2.associate_address(AllocationId=allocation_id, InstanceId=instance_id)
    (group_id,) = place.ec2.region.groups
    assert code_of(ec2.release_address, AllocationId=allocation_id) == "InvalidIPAddress.InUse"
    assert code_of(ec2.delete_security_group, GroupId=group_id) == "DependencyViolation"


def test_a_secret_is_a_tagged_secure_string(place: InstancePlace) -> None:
    put = client(place, "ssm").put_parameter
    plain = code_of(put, Name="/a/B", Value="v", Type="String", Tags=TAGS)
    untagged = code_of(put, Name="/a/B", Value="v", Type="SecureString")
    put(Name="/a/B", Value="v", Type="SecureString", Tags=TAGS)
    both = code_of(
        put, Name="/a/B", Value="w", Type="SecureString", Tags=TAGS, Overwrite=True
    )  # fmt: skip
    assert (plain, untagged, both) == (
        "ValidationException", "AccessDeniedException", "ValidationException",
    )  # fmt: skip


def test_a_command_is_refused_until_the_instance_has_registered(place: InstancePlace) -> None:
    instance_id, ssm = run(place), client(place, "ssm")
    found = code_of(
        ssm.send_command, DocumentName="AWS-RunShellScript", InstanceIds=[instance_id],
        Parameters={"commands": ["true"], "executionTimeout": ["60"]},
    )  # fmt: skip
    assert found == "InvalidInstanceId"


def test_a_role_that_is_used_cannot_be_deleted(place: InstancePlace) -> None:
    run(place)
    assert code_of(client(place, "iam").delete_role, RoleName="p") == "DeleteConflict"

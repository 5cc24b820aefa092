"""The printed rights and the hosts' calls cannot drift apart: the calls are read from the code."""

from __future__ import annotations

import ast
import json
import re
from typing import Any

import pytest

from core.cloud.aws_policy import (
    ARCHIVE_ACTIONS,
    INSTANCE_ACTIONS,
    LONGEST_CHARS,
    OPERATIONS,
    STATEMENTS,
    aws_policy,
)
from core.cloud.azure_policy import GROUPS, azure_policy
from tests.cloud.calls_in_code import (
    ROOMS,
    aws_calls,
    aws_operations,
    azure_calls,
    azure_groups,
    azure_groups_in_code,
    modules,
    parsed,
)

SUBSCRIPTION = "0f1e2d3c-4b5a-4968-8776-655443322110"
BY_OBSTORE = {("s3", "list_objects_v2"), ("s3", "put_object"), ("s3", "delete_object")}
"""The data path makes these under S3's own names."""

ACTION = re.compile(r"[a-z0-9]+:[A-Z][A-Za-z0-9]+")
AZURE_ACTION = re.compile(r"Microsoft\.[A-Za-z]+(/[A-Za-z*]+)+/(read|write|delete|action)")


def statements() -> list[dict[str, Any]]:
    rows: Any = aws_policy()["Statement"]
    return list(rows)


def test_every_aws_call_of_the_code_is_in_the_table() -> None:
    missing = [
        f"{where} {'|'.join(sorted(services))}.{method}"
        for services, method, where in aws_calls(parsed(modules(*ROOMS)))
        if not any(method in OPERATIONS.get(service, {}) for service in services)
    ]
    assert not missing


def test_every_azure_call_of_the_code_is_in_the_table() -> None:
    code = parsed(modules(*ROOMS))
    assert azure_groups_in_code(code) <= set(GROUPS)
    missing = [
        f"{where} {'|'.join(sorted(groups))}.{method}"
        for groups, method, where in azure_calls(code)
        if not any(method in GROUPS[group].methods() for group in groups & set(GROUPS))
    ]
    assert not missing


def test_the_tables_name_nothing_that_the_code_does_not_call() -> None:
    code = parsed(modules(*ROOMS))
    called = {(one, method) for found, method, _where in aws_calls(code) for one in found}
    named = {(service, method) for service, table in OPERATIONS.items() for method in table}
    assert named - called == BY_OBSTORE
    assert set(GROUPS) <= azure_groups_in_code(code)


@pytest.mark.parametrize(
    "code",
    [
        "account.client('s3').put_bucket_acl(Bucket='b')",
        "s3 = site.client('s3')\ns3.put_bucket_acl(Bucket='b')",
        "site.client('s3', region).get_paginator('put_bucket_acl')",
        "site.client('cloudfront')\nsite.cloudfront.create_key_group()",
    ],
)
def test_the_reader_sees_a_call_however_it_is_written(code: str) -> None:
    ((services, method, _where),) = aws_calls([("x", ast.parse(code))])
    assert not any(method in OPERATIONS[service] for service in services)


def test_the_reader_sees_what_a_waiter_asks() -> None:
    code = ast.parse("account.client('cloudfront').get_waiter('distribution_deployed')")
    assert [one[:2] for one in aws_calls([("x", code)])] == [
        (frozenset({"cloudfront"}), "get_distribution")
    ]


@pytest.mark.parametrize(
    "code",
    [
        "site.client('storage').storage_accounts.list_keys('g', 'a')",
        "calls = getattr(site.client('storage'), 'storage_accounts')\npartial(calls.list_keys)",
    ],
)
def test_the_reader_sees_methods_of_operation_groups(code: str) -> None:
    found = [one[:2] for one in azure_calls([("x", ast.parse(code))])]
    assert found == [(frozenset({"storage_accounts"}), "list_keys")]


def test_the_tables_name_only_what_the_libraries_have() -> None:
    for service, operations in OPERATIONS.items():
        assert set(operations) <= aws_operations(service), service
    known = azure_groups()
    for name, group in GROUPS.items():
        assert group.methods() <= known[name], name


def test_the_policy_allows_exactly_what_the_calls_need() -> None:
    needed = {one for table in OPERATIONS.values() for found in table.values() for one in found}
    allowed = {action for statement in STATEMENTS for action in statement.actions}
    of_instances = {*ARCHIVE_ACTIONS, *INSTANCE_ACTIONS}
    assert allowed == needed | of_instances
    assert not needed & of_instances
    assert all(ACTION.fullmatch(action) for action in needed)


def test_no_right_can_be_given_beyond_the_policy_itself() -> None:
    giving = {"iam:AttachRolePolicy", "iam:CreateRole", "iam:PutRolePolicy"}
    bounded = {"iam:PermissionsBoundary": "arn:aws:iam::*:policy/tmux-builder"}
    for row in statements():
        if {*giving, "iam:PutRolePermissionsBoundary"} & set(row["Action"]):
            assert row["Condition"]["ArnLike"] == bounded
    allowed = {action for row in statements() for action in row["Action"]}
    assert giving <= allowed
    lifting = re.compile(
        r"iam:.*(PolicyVersion|User|Group|AccessKey|LoginProfile|AssumeRole|\*).*"
        r"|iam:(CreatePolicy|DeletePolicy|DeleteRolePermissionsBoundary|UpdateRole)"
        r"|sts:Assume.*|\*|sts:\*"
    )
    assert not [action for action in allowed if lifting.fullmatch(action)]


def test_what_instances_call_is_for_them_alone() -> None:
    (row,) = [one for one in statements() if set(INSTANCE_ACTIONS) & set(one["Action"])]
    assert row["Action"] == [*INSTANCE_ACTIONS]
    assert row["Condition"] == {"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/tmux-*"}}


def test_the_policy_fits_into_one_that_iam_takes() -> None:
    assert len(json.dumps(aws_policy(), separators=(",", ":"))) <= LONGEST_CHARS
    names = [row["Sid"] for row in statements()]
    assert len(set(names)) == len(names)


def test_nothing_is_made_changed_or_deleted_without_a_name_or_a_tag() -> None:
    reading = re.compile(r"[a-z0-9]+:(Describe|Get|List)[A-Za-z]*")
    for row in statements():
        is_narrow = all("tmux-" in one for one in row["Resource"]) or "Condition" in row
        if not is_narrow and not all(reading.fullmatch(one) for one in row["Action"]):
            assert row["Sid"] in {"EdgeAccess", "ComputeIn", "Command", "Names"}


def test_what_is_made_must_carry_the_project_s_tag() -> None:
    for row in statements():
        if row["Sid"] in {"EdgeMake", "ComputeMake", "CertMake"}:
            assert row["Condition"] == {"StringEquals": {"aws:RequestTag/Project": "tmux-builder"}}


def test_a_role_can_be_passed_to_instances_only() -> None:
    (row,) = [one for one in statements() if "iam:PassRole" in one["Action"]]
    assert row["Resource"] == ["arn:aws:iam::*:role/tmux-*"]
    assert row["Condition"]["StringEquals"] == {"iam:PassedToService": "ec2.amazonaws.com"}


def test_the_azure_role_has_the_form_that_azure_takes() -> None:
    role: Any = azure_policy(SUBSCRIPTION)
    assert role["AssignableScopes"] == [f"/subscriptions/{SUBSCRIPTION}"]
    assert role["IsCustom"] is True
    assert all(AZURE_ACTION.fullmatch(action) for action in role["Actions"])
    assert role["Actions"] == sorted(set(role["Actions"]))
    assert not [action for action in role["Actions"] if action.lower().endswith("listkeys/action")]


def test_a_subscription_s_name_is_no_scope() -> None:
    role: Any = azure_policy("sunwaretech")
    assert role["AssignableScopes"] == ["/subscriptions/YOUR-SUBSCRIPTION-ID"]

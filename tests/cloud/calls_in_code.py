"""Which operations of the clouds' SDKs the product's own code calls, by reading it."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

import boto3
import botocore.session
from botocore import xform_name

from core.cloud.azure import CLIENTS
from core.paths import CHECKOUT

ROOMS = ("core/hosts", "core/cloud", "core/publish")

AwsCall = tuple[frozenset[str], str, str]
"""Services whose client has the method, the method, and where it stands."""

AzureCall = tuple[frozenset[str], str, str]
"""Operation groups that have the method, the method, and where it stands."""


def modules(*rooms: str) -> list[Path]:
    found = (path for room in rooms for path in (CHECKOUT / room).rglob("*.py"))
    return sorted(path for path in found if "agent" not in path.parts)


def aws_calls(trees: Iterable[tuple[str, ast.Module]]) -> list[AwsCall]:
    """Every call of a method that is an operation of a service that the code has a client of."""
    parsed = list(trees)
    services = {name for _where, tree in parsed for name in _clients(tree)}
    found = []
    for where, tree in parsed:
        for receiver, method, line in _called(tree):
            offering = {one for one in services if method in aws_operations(one)}
            exact = {one for one in offering if one in receiver}
            if offering:
                found.append((frozenset(exact or offering), method, f"{where}:{line}"))
    return found


def azure_calls(trees: Iterable[tuple[str, ast.Module]]) -> list[AzureCall]:
    """Every mention of a method of the operation groups that the same module names.

    A group is an attribute, or a text that the module takes an attribute by, so that a method is
    known to belong to one of the module's groups, not always to which. `get` and the like are a
    mapping's too: they count on a group only.
    """
    found = []
    for where, tree in trees:
        named = frozenset(_groups_in(tree))
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute):
                own = frozenset(group for group in named if node.attr in azure_groups()[group])
                exact = own & {_last_name(node.value)}
                if exact or (own and not hasattr(dict, node.attr)):
                    found.append((exact or own, node.attr, f"{where}:{node.lineno}"))
    return found


def azure_groups_in_code(trees: Iterable[tuple[str, ast.Module]]) -> set[str]:
    return {group for _where, tree in trees for group in _groups_in(tree)}


def parsed(paths: Iterable[Path]) -> list[tuple[str, ast.Module]]:
    return [(str(path.relative_to(CHECKOUT)), ast.parse(path.read_text())) for path in paths]


@cache
def aws_operations(service: str) -> frozenset[str]:
    """The methods of boto3's client of a service."""
    model = _session().get_service_model(service)
    return frozenset(xform_name(name) for name in model.operation_names)


@cache
def azure_groups() -> dict[str, frozenset[str]]:
    """Methods by operation group, over all clients that the product opens."""
    found: dict[str, set[str]] = {}
    for module, name in CLIENTS.values():
        client = getattr(importlib.import_module(module), name)(_NoCredential(), "0")
        for group in (one for one in dir(client) if not one.startswith("_")):
            operations = None
            with suppress(ValueError):  # a group of another version than the client's own
                operations = getattr(client, group)
            if type(operations).__name__.endswith("Operations"):
                methods = {one for one in dir(operations) if not one.startswith("_")} - {"models"}
                found.setdefault(group, set()).update(methods)
    return {group: frozenset(methods) for group, methods in found.items()}


class _NoCredential:
    """Enough to make a client that is never asked anything."""

    def get_token(self, *_scopes: str, **_options: object) -> object:
        raise NotImplementedError


@cache
def _session() -> botocore.session.Session:
    return boto3.Session(region_name="us-east-1")._session


def _clients(tree: ast.Module) -> Iterator[str]:
    """The services of `….client("service", …)`."""
    known = set(_session().get_available_services())
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "client"
            and (name := _first_text(node)) in known
        ):
            yield name


def _called(tree: ast.Module) -> Iterator[tuple[str, str, int]]:
    """(receiver as text, method, line), called here or handed on to be called.

    A paginator or a waiter is the operation that it asks.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield ast.unparse(node.value), node.attr, node.lineno
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        receiver, method = ast.unparse(node.func.value), node.func.attr
        if method == "get_paginator":
            yield receiver, _first_text(node), node.lineno
        elif method == "get_waiter":
            yield from ((receiver, one, node.lineno) for one in _waiting(_first_text(node)))


def _groups_in(tree: ast.Module) -> Iterator[str]:
    """Operation groups of the SDK that a module with a management client names."""
    if not any(_opens_azure(node) for node in ast.walk(tree)):
        return
    for node in ast.walk(tree):
        named = None
        if isinstance(node, ast.Attribute):
            named = node.attr
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            named = node.value
        if named in azure_groups():
            yield named


def _opens_azure(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return False
    return node.func.attr == "client" and _first_text(node) in CLIENTS


def _last_name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else ""


@cache
def _waiting(waiter: str) -> tuple[str, ...]:
    """The operations that waiters of this name ask, over the services that have one."""
    found = set()
    for service in ("cloudfront", "ec2", "iam", "s3", "ssm", "acm", "route53"):
        model = _session().get_waiter_model(service)
        for name in model.waiter_names:
            if xform_name(name) == waiter:
                found.add(xform_name(model.get_waiter(name).operation))
    return tuple(sorted(found))


def _first_text(node: ast.Call) -> str:
    first = node.args[0] if node.args else None
    is_text = isinstance(first, ast.Constant) and isinstance(first.value, str)
    return str(first.value) if is_text and isinstance(first, ast.Constant) else ""

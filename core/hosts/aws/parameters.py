"""A site's variables in SSM's Parameter Store, and its origin key: encrypted and tagged."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

from core.cloud.aws_errors import error_code
from core.hosts.aws.site import AwsSite, tag_list, tag_map
from core.hosts.instance.variables import ORIGIN_KEY, parameter_name

PARAMETER = "ssm_parameter"
ROOT = "/tmux-builder"

_MISSING = "ParameterNotFound"
_DELETED_AT_ONCE = 10
_KEY_BYTES = 32


def parameter_path(site: AwsSite) -> str:
    """Everything below it is this session's."""
    return f"{ROOT}/{site.names.name()}"


def variable_names(site: AwsSite) -> tuple[str, ...]:
    """Names of the variables, sorted; the values stay encrypted where they are."""
    names = {name.rpartition("/")[2] for name in parameter_names(site)}
    return tuple(sorted(names - {ORIGIN_KEY}))


def ensure_origin_key(site: AwsSite) -> str:
    """What the site's distribution shows to its instance; made once, and never told to anybody."""
    found = origin_key(site)
    if found is not None and is_recorded(site, ORIGIN_KEY):
        return found
    key = found or secrets.token_hex(_KEY_BYTES)
    write_variable(site, ORIGIN_KEY, key)
    return key


def origin_key(site: AwsSite) -> str | None:
    """None where it was never made, or somebody deleted it."""
    return read_variable(site, ORIGIN_KEY)


def parameter_names(site: AwsSite) -> list[str]:
    """Full names of what lies below the site's path."""
    with site.doing("list the site's variables"):
        return [str(one["Name"]) for one in _parameters(site)]


def read_variable(site: AwsSite, name: str) -> str | None:
    """Its value, to put it back if the program does not come up with another; None if unset."""
    with site.doing(f"read the variable {name}"):
        try:
            answer = site.client("ssm").get_parameter(Name=_full(site, name), WithDecryption=True)
        except Exception as error:
            if error_code(error) != _MISSING:
                raise
            return None
    return str(answer["Parameter"]["Value"])


def is_recorded(site: AwsSite, name: str) -> bool:
    """Whether the session's records know of it; a try whose answer was lost leaves it unknown."""
    return _full(site, name) in site.recorded(PARAMETER)


def write_variable(site: AwsSite, name: str, value: str) -> None:
    """Keep it, encrypted with the account's key for SSM.

    SSM takes tags with a new parameter only, so an existing one keeps those that it has.

    Raises:
        CloudRefusedError: A parameter of that name is somebody else's.
    """
    ssm, full = site.client("ssm"), _full(site, name)
    wanted: dict[str, Any] = {
        "Name": full, "Value": value, "Type": "SecureString", "Tier": "Intelligent-Tiering",
    }  # fmt: skip
    with site.doing(f"keep the variable {name}"):
        try:
            ssm.put_parameter(**wanted, Tags=tag_list(site.tags))
        except Exception as error:
            if error_code(error) != "ParameterAlreadyExists":
                raise
            tags = _tags(site, full)
            site.require_own(f"The parameter {full}", tags)
            ssm.put_parameter(**wanted, Overwrite=True)
            site.made(PARAMETER, full, tags)
            return
    site.made(PARAMETER, full)


def remove_variable(site: AwsSite, name: str) -> bool:
    """Delete it; whether it was there."""
    removed = _full(site, name) in remove_parameters(site, [_full(site, name)])
    if not removed:
        site.gone(PARAMETER, _full(site, name))
    return removed


def remove_parameters(site: AwsSite, names: list[str]) -> list[str]:
    """Delete these; those that were there. Missing ones are fine."""
    deleted: list[str] = []
    ssm = site.client("ssm")
    for begin in range(0, len(names), _DELETED_AT_ONCE):
        with site.doing("delete the site's variables"):
            some = names[begin : begin + _DELETED_AT_ONCE]
            deleted += map(str, ssm.delete_parameters(Names=some)["DeletedParameters"])
    for name in deleted:
        site.gone(PARAMETER, name)
    return deleted


def parameter_tags(site: AwsSite, full: str) -> dict[str, str]:
    with site.doing(f"read the tags of {full}"):
        return _tags(site, full)


def _tags(site: AwsSite, full: str) -> dict[str, str]:
    answer = site.client("ssm").list_tags_for_resource(ResourceType="Parameter", ResourceId=full)
    return tag_map(answer["TagList"])


def _parameters(site: AwsSite) -> Iterator[dict[str, Any]]:
    """Ciphertexts with their names: nothing is decrypted for a list."""
    paginator = site.client("ssm").get_paginator("get_parameters_by_path")
    for page in paginator.paginate(Path=parameter_path(site), Recursive=True, WithDecryption=False):
        yield from page["Parameters"]


def _full(site: AwsSite, name: str) -> str:
    return parameter_name(parameter_path(site), name)

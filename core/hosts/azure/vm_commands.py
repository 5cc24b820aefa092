"""Telling the session's machine what to do: managed run commands, which need no open port.

A command is a resource below the machine. Azure runs its text again only where it has changed, so
each run ends with a number of its own; and a machine has 25 at most, so old ones are removed.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from core.cloud.azure_errors import error_code
from core.cloud.retrying import Patience, awaited
from core.errors import CloudRefusedError, TimedOutError
from core.hosts.azure.adoption import Part, settled
from core.hosts.azure.bodies import Document
from core.hosts.azure.site import AzureSite, refuse_foreign
from core.hosts.azure.vm_names import machine_name
from core.hosts.instance.commands import (
    READ_TIMEOUT_S,
    RELEASE_TIMEOUT_S,
    AgentAnswer,
    answer_of,
)

MACHINE_MISSING = "machine_missing"

_NUMBER = re.compile(r"\n# run (\d{1,9})\n\Z")
_ENDED = frozenset({"Succeeded", "Failed", "TimedOut", "Canceled"})
_ANSWERS = Patience(deadline_s=300.0, interval_s=1.0)
_LOST = frozenset(
    {
        "ResourceNotFound", "ResourceGroupNotFound", "ParentResourceNotFound", "NotFound",
        "OperationNotAllowed",
    }
)  # fmt: skip
"""What Azure says where the machine is gone, or where somebody has stopped it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineCommand:
    """A text for the machine.

    Attributes:
        name: Of the resource; the same name is the same command with other values.
        timeout_s: How long the machine works at it before Azure ends it.
    """

    name: str
    script: str
    timeout_s: int = RELEASE_TIMEOUT_S


def release_name(release_id: str) -> str:
    return f"release-{release_id[:24]}"


def reading(name: str, script: str) -> MachineCommand:
    """A command that changes nothing."""
    return MachineCommand(name=name, script=script, timeout_s=READ_TIMEOUT_S)


def run(site: AzureSite, command: MachineCommand) -> AgentAnswer:
    """Let the machine do it now, also where it has done the same before.

    Raises:
        CloudRefusedError: The machine is gone or stopped (code `machine_missing`).
        TimedOutError: It did not end in time.
        BuilderError: What `core.hosts.instance.commands.answer_of` raises: the agent said no.
    """
    with _needing_machine():
        former = _start(site, command)
        view = _ended_view(site, command, former)
    if view["executionState"] == "TimedOut":
        raise TimedOutError(
            f"{machine_name(site.names)} did not end the command {command.name} in time.",
            remedy="Run the same command again.",
        )
    return answer_of(str(view.get("output") or view.get("executionMessage") or ""))


def make_room(site: AzureSite, kept: Collection[str]) -> None:
    """Begin to remove the commands of releases that nobody comes back to; that goes on in Azure.

    Args:
        kept: Ids of releases whose commands stay.

    Raises:
        CloudRefusedError: The machine is gone (code `machine_missing`).
    """
    calls, place = _calls(site), (site.names.group, machine_name(site.names))
    with _needing_machine():
        listed = site.asked(
            f"list the commands of {place[1]}", lambda: list(calls.list_by_virtual_machine(*place))
        )
    names = {release_name(one) for one in kept}
    for found in listed:
        is_release = str(found.name).startswith(release_name(""))
        if is_release and found.name not in names and found.provisioning_state != "Deleting":
            _forget(site, str(found.name))


@contextmanager
def _needing_machine() -> Iterator[None]:
    try:
        yield
    except CloudRefusedError as error:
        if error.__cause__ is not None and error_code(error.__cause__) in _LOST:
            error.code = MACHINE_MISSING
        raise


def _forget(site: AzureSite, name: str) -> None:
    calls, place = _calls(site), (site.names.group, machine_name(site.names), name)
    site.asked(f"remove the command {name}", lambda: calls.begin_delete(*place, polling=False))


def _start(site: AzureSite, command: MachineCommand) -> Document:
    """Put the text with the next number; a run that goes on is waited for first.

    Returns:
        What the machine said the time before, with the instants at which it did.
    """
    site.leave_if_cancelled()
    before = settled(site, _part(site, command, 0))
    tags = site.tags if before is None else before.get("tags") or {}
    part = _part(site, command, _number(before) + 1)
    if not part.owned(tags):
        raise refuse_foreign(part.what, site.names.config.key.session_id)
    body = {**part.body, "tags": dict(tags)}
    site.followed(f"run {part.what}", lambda: part.begin(body))
    return _view(before)


def _view(found: Document | None) -> Document:
    view: Document = (found or {}).get("properties", {}).get("instanceView") or {}
    return view


def _number(before: Document | None) -> int:
    """Of the run that the machine was told last; 0 for none."""
    if before is None:
        return 0
    source = before.get("properties", {}).get("source") or {}
    match = _NUMBER.search(str(source.get("script", "")))
    return 0 if match is None else int(match[1])


def _ended_view(site: AzureSite, command: MachineCommand, former: Document) -> Document:
    """What the machine said, once it has; what it said the time before is no answer."""
    part = _part(site, command, 0)

    def look() -> Document | None:
        view = _view(site.found(f"read {part.what}", part.get))
        return view if view.get("executionState") in _ENDED and view != former else None

    return awaited(
        look,
        what=f"The answer of {machine_name(site.names)} to the command {command.name}",
        remedy="Run the same command again.",
        patience=_ANSWERS,
        clock=site.clock,
        cancelled=site.cancelled,
    )


def _part(site: AzureSite, command: MachineCommand, number: int) -> Part:
    calls = _calls(site)
    place = (site.names.group, machine_name(site.names), command.name)
    properties: dict[str, Any] = {
        "source": {"script": f"{command.script.rstrip()}\n# run {number}\n"},
        "asyncExecution": False,
        "timeoutInSeconds": command.timeout_s,
        "treatFailureAsDeploymentFailure": False,
    }
    return Part(
        what=f"the command {command.name}",
        body={"location": site.location, "properties": properties},
        get=lambda: calls.get_by_virtual_machine(*place, expand="instanceView"),
        begin=lambda body: calls.begin_create_or_update(*place, body),
        tags=site.tags,
        owned=site.names.config.owns,
    )


def _calls(site: AzureSite) -> Any:
    return site.client("compute").virtual_machine_run_commands

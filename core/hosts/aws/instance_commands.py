"""Running the agent on a site's instance through SSM, and waiting for what it says."""

from __future__ import annotations

from typing import Any

from core.cloud.aws_errors import error_code
from core.cloud.retrying import Patience, awaited
from core.errors import CloudRefusedError, CloudUnreachableError
from core.hosts.aws.site import AwsSite
from core.hosts.instance.commands import RELEASE_TIMEOUT_S, AgentAnswer, answer_of

DOCUMENT = "AWS-RunShellScript"
INSTANCE_MISSING = "instance_missing"
"""Code of the error that says so."""
DELIVERED_WITHIN_S = 120
COMES_ONLINE = Patience(deadline_s=900.0, interval_s=2.0, longest_s=10.0)
"""From the start of an instance: its system boots, and its agent registers."""

_ANSWERED = frozenset({"Success", "Failed"})
_OVER = frozenset({"Cancelled", "TimedOut"})
_GOES_ON = "The instance goes on by itself; run the same command again."


def await_online(site: AwsSite, instance_id: str) -> None:
    """Return when SSM's agent on the instance takes commands.

    Raises:
        TimedOutError: It does not in time.
    """

    def is_online() -> bool | None:
        return True if _ping(site, instance_id) == "Online" else None

    awaited(
        is_online, what=f"The instance {instance_id} takes commands", remedy=_GOES_ON,
        patience=COMES_ONLINE, clock=site.clock, cancelled=site.cancelled,
    )  # fmt: skip


def run_command(
    site: AwsSite, instance_id: str, text: str, *, timeout_s: int = RELEASE_TIMEOUT_S
) -> AgentAnswer:
    """What the agent answers to this command. The text holds no secret: SSM keeps it for weeks.

    Raises:
        CloudRefusedError: SSM knows no such instance (code `instance_missing`).
        CloudUnreachableError: The command did not reach the instance, or did not end in time.
        BuilderError: The agent's own refusal, as `answer_of` says.
    """
    command_id = _sent(site, instance_id, text, timeout_s)
    patience = Patience(
        deadline_s=DELIVERED_WITHIN_S + timeout_s + 30.0, interval_s=0.3, longest_s=3.0
    )
    ended = awaited(
        lambda: _ended(site, instance_id, command_id),
        what=f"The command {command_id} on {instance_id} has ended", remedy=_GOES_ON,
        patience=patience, clock=site.clock, cancelled=site.cancelled,
    )  # fmt: skip
    return _answered(ended, instance_id)


def _sent(site: AwsSite, instance_id: str, text: str, timeout_s: int) -> str:
    with site.doing(f"send a command to {instance_id}"):
        try:
            answer = site.client("ssm").send_command(
                DocumentName=DOCUMENT,
                InstanceIds=[instance_id],
                Comment=site.names.name()[:100],
                TimeoutSeconds=DELIVERED_WITHIN_S,
                Parameters={"commands": [text], "executionTimeout": [str(timeout_s)]},
                CloudWatchOutputConfig={"CloudWatchOutputEnabled": False},
            )
        except Exception as error:
            if error_code(error) != "InvalidInstanceId":
                raise
            raise CloudRefusedError(
                f"SSM knows no running instance {instance_id}.",
                remedy="Deploy again; the instance is started or replaced.",
                code=INSTANCE_MISSING,
            ) from error
    return str(answer["Command"]["CommandId"])


def _ended(site: AwsSite, instance_id: str, command_id: str) -> dict[str, Any] | None:
    """The invocation once it is over; SSM does not know of it in the first moment."""
    with site.doing(f"look at the command {command_id}"):
        try:
            found: dict[str, Any] = site.client("ssm").get_command_invocation(
                CommandId=command_id, InstanceId=instance_id
            )
        except Exception as error:
            if error_code(error) != "InvocationDoesNotExist":
                raise
            return None
    return found if found["Status"] in _ANSWERED | _OVER else None


def _answered(invocation: dict[str, Any], instance_id: str) -> AgentAnswer:
    printed = str(invocation.get("StandardOutputContent") or "")
    if invocation["Status"] in _OVER or (invocation["Status"] == "Failed" and not printed.strip()):
        said = str(invocation.get("StatusDetails") or invocation["Status"])
        raise CloudUnreachableError(
            f"The command on {instance_id} brought no answer ({said}).",
            remedy="Run the same command again; what it began is finished then.",
        )
    return answer_of(printed)


def _ping(site: AwsSite, instance_id: str) -> str | None:
    with site.doing(f"ask whether {instance_id} takes commands"):
        found = site.client("ssm").describe_instance_information(
            Filters=[{"Key": "InstanceIds", "Values": [instance_id]}]
        )["InstanceInformationList"]
    return str(found[0]["PingStatus"]) if found else None

"""SSM: parameters, and commands that really run on an instance's machine.

A command has run when `SendCommand` is answered, so that calls come in the same order in every
run; what the client sees are still the polls of the real service.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from werkzeug.wrappers import Response

from tests.cloud.aws.ec2_instances import NEWEST_IMAGE
from tests.cloud.aws.ec2_region import Instance, Region
from tests.cloud.aws.required_tags import items_of, pairs, require_tags
from tests.cloud.aws.wire import Call, RefusedError, answer, read_values

PAGE = 2
IMAGE_PARAMETER = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64"
LARGEST_VALUE_BYTES = 8192
LARGEST_OUTPUT_CHARS = 24_000
LARGEST_DOCUMENT_BYTES = 64 * 1024
LOOKS_TO_REGISTER = 2


@dataclass(kw_only=True)
class Parameter:
    """A SecureString."""

    name: str
    value: str
    tags: dict[str, str]
    version: int = 1


@dataclass(kw_only=True)
class Invocation:
    """A command on one instance; its outcome is shown at the third look."""

    command_id: str
    instance_id: str
    text: str
    code: int
    printed: str
    looks: int = 0


class Ssm:
    """The service of one account and region."""

    def __init__(self, region: Callable[[], Region]) -> None:
        self.parameters: dict[str, Parameter] = {}
        self.invocations: dict[str, Invocation] = {}
        self.image = NEWEST_IMAGE
        self._region = region
        self._lock = threading.Lock()

    def answer(self, call: Call) -> Response | None:
        handler = getattr(self, f"on_{call.operation}", None)
        if handler is None:
            raise RefusedError("InvalidAction", f"the stand-in has no {call.operation}")
        return answer(call, handler(read_values(call)))

    def after(self, call: Call, response: Response) -> None:
        """Nothing goes to moto."""

    def empty(self) -> None:
        self.parameters.clear()
        self.invocations.clear()
        self.image = NEWEST_IMAGE

    # Parameters.

    def on_GetParameter(self, values: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        if values["Name"] == IMAGE_PARAMETER:
            return {"Parameter": {"Name": IMAGE_PARAMETER, "Type": "String", "Value": self.image}}
        found = self._parameter(values["Name"])
        return {"Parameter": _shown(found, decrypted=bool(values.get("WithDecryption")))}

    def on_GetParametersByPath(self, values: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        prefix = values["Path"].rstrip("/") + "/"
        names = sorted(name for name in self.parameters if name.startswith(prefix))
        start = int(values.get("NextToken") or 0)
        decrypted = bool(values.get("WithDecryption"))
        shown = [_shown(self.parameters[name], decrypted=decrypted) for name in names]
        page: dict[str, Any] = {"Parameters": shown[start : start + PAGE]}
        if start + PAGE < len(shown):
            page["NextToken"] = str(start + PAGE)
        return page

    def on_PutParameter(self, values: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        name, known = values["Name"], self.parameters.get(values["Name"])
        if values.get("Type") != "SecureString" or not name.startswith("/"):
            raise RefusedError("ValidationException", "a policy: secrets are SecureStrings")
        if values.get("Tags") and values.get("Overwrite"):
            raise RefusedError("ValidationException", "tags and overwrite can't be used together")
        size = len(values["Value"].encode())
        if size > LARGEST_VALUE_BYTES or (size > 4096 and values.get("Tier") == "Standard"):
            raise RefusedError("ValidationException", "the value is too long for its tier")
        if known is not None:
            if not values.get("Overwrite"):
                raise RefusedError("ParameterAlreadyExists", "The parameter already exists.")
            known.value, known.version = values["Value"], known.version + 1
            return {"Version": known.version, "Tier": "Standard"}
        tags = pairs(values.get("Tags", []))
        require_tags(tags, "AccessDeniedException")
        self.parameters[name] = Parameter(name=name, value=values["Value"], tags=tags)
        return {"Version": 1, "Tier": "Standard"}

    def on_DeleteParameters(self, values: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        if not 0 < len(values["Names"]) <= 10:
            raise RefusedError("ValidationException", "one to ten names")
        deleted = [name for name in values["Names"] if self.parameters.pop(name, None)]
        missing = [name for name in values["Names"] if name not in deleted]
        return {"DeletedParameters": deleted, "InvalidParameters": missing}

    def on_ListTagsForResource(self, values: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        if values["ResourceType"] != "Parameter":
            raise RefusedError("InvalidResourceType", values["ResourceType"])
        if values["ResourceId"] not in self.parameters:
            raise RefusedError("InvalidResourceId", values["ResourceId"])
        return {"TagList": items_of(self.parameters[values["ResourceId"]].tags)}

    # Commands.

    def on_DescribeInstanceInformation(self, values: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        wanted = values["Filters"][0]
        if wanted["Key"] != "InstanceIds":
            raise RefusedError("InvalidInstanceInformationFilterValue", wanted["Key"])
        found = [self._region().instances.get(name) for name in wanted["Values"]]
        return {
            "InstanceInformationList": [
                {"InstanceId": one.instance_id, "PingStatus": _ping(one)}
                for one in found
                if one is not None and one.state in ("running", "stopped")
            ]
        }

    def on_SendCommand(self, values: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        instance_id, text = values["InstanceIds"][0], _checked_text(values)
        found = self._region().instances.get(instance_id)
        if found is None or found.state != "running" or found.was_online < LOOKS_TO_REGISTER:
            raise RefusedError(
                "InvalidInstanceId", f"Instances [[{instance_id}]] not in a valid state"
            )
        if any(one.value in text for one in self.parameters.values() if len(one.value) > 7):
            raise RefusedError("ValidationException", "a secret in a command is kept for weeks")
        assert found.machine is not None
        timeout_s = int(values["Parameters"]["executionTimeout"][0])
        with self._lock:
            code, printed = found.machine.run(text, timeout_s)
        command_id = f"{len(self.invocations) + 1:08d}-0000-4000-8000-000000000000"
        self.invocations[command_id] = Invocation(
            command_id=command_id, instance_id=instance_id, text=text, code=code,
            printed=printed[:LARGEST_OUTPUT_CHARS],
        )  # fmt: skip
        return {"Command": {"CommandId": command_id, "Status": "Pending"}}

    def on_GetCommandInvocation(self, values: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        found = self.invocations.get(values["CommandId"])
        if found is None or found.instance_id != values["InstanceId"]:
            raise RefusedError("InvocationDoesNotExist", values["CommandId"])
        found.looks += 1
        if found.looks == 1:
            raise RefusedError("InvocationDoesNotExist", "it is not known everywhere yet")
        status = "InProgress" if found.looks == 2 else "Success" if found.code == 0 else "Failed"
        printed = "" if found.looks == 2 else found.printed
        return {
            "CommandId": found.command_id, "InstanceId": found.instance_id, "Status": status,
            "StatusDetails": status, "StandardOutputContent": printed,
            "StandardErrorContent": "", "ResponseCode": -1 if found.looks == 2 else found.code,
        }  # fmt: skip

    def _parameter(self, name: str) -> Parameter:
        if name not in self.parameters:
            raise RefusedError("ParameterNotFound", name)
        return self.parameters[name]


def _ping(one: Instance) -> str:
    one.was_online += 1
    is_online = one.state == "running" and one.was_online >= LOOKS_TO_REGISTER
    return "Online" if is_online else "ConnectionLost"


def _checked_text(values: dict[str, Any]) -> str:
    if values["DocumentName"] != "AWS-RunShellScript" or len(values["InstanceIds"]) != 1:
        raise RefusedError("InvalidDocument", values["DocumentName"])
    if values.get("TimeoutSeconds", 3600) < 30 or len(values.get("Comment", "")) > 100:
        raise RefusedError("ValidationException", "timeout or comment")
    if values.get("CloudWatchOutputConfig", {}).get("CloudWatchOutputEnabled"):
        raise RefusedError("ValidationException", "the output belongs in no log group")
    text = "\n".join(values["Parameters"]["commands"])
    if "{{" in text or len(text) > LARGEST_DOCUMENT_BYTES:
        raise RefusedError("InvalidParameters", "a reference to a parameter, or too long")
    return text


def _shown(one: Parameter, *, decrypted: bool) -> dict[str, Any]:
    value = one.value if decrypted else "AQICAHg0ciphertext"
    return {"Name": one.name, "Type": "SecureString", "Value": value, "Version": one.version}

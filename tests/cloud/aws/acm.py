"""ACM: certificates of one account, issued once their proof is in the zone."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from werkzeug.wrappers import Response

from tests.cloud.aws.required_tags import items_of, pairs, require_tags
from tests.cloud.aws.wire import Call, RefusedError, answer, read_values

PAGE = 2


@dataclass(kw_only=True)
class Certificate:
    """A certificate that was asked for; its proof is named at the second look."""

    arn: str
    domain: str
    token: str
    tags: dict[str, str]
    status: str = "PENDING_VALIDATION"
    looks: int = 0
    proof: tuple[str, str] = field(default=("", ""))


class Acm:
    """The service of one account.

    Args:
        record: The value of a CNAME in any zone, None where there is none.
        in_use: Whether a distribution shows this certificate.
    """

    def __init__(self, record: Callable[[str], str | None], in_use: Callable[[str], bool]) -> None:
        self.certificates: dict[str, Certificate] = {}
        self._record = record
        self._in_use = in_use
        self._made = 0

    def answer(self, call: Call) -> Response | None:
        if call.region != "us-east-1":
            raise RefusedError("AccessDeniedException", "CloudFront reads us-east-1 only", 403)
        handler = getattr(self, f"on_{call.operation}", None)
        if handler is None:
            raise RefusedError("InvalidAction", f"the stand-in has no {call.operation}")
        return answer(call, handler(read_values(call)))

    def after(self, call: Call, response: Response) -> None:
        """Nothing goes to moto."""

    def empty(self) -> None:
        self.certificates.clear()

    def tagged(self) -> dict[str, dict[str, str]]:
        return {one.arn: one.tags for one in self.certificates.values()}

    def on_RequestCertificate(self, values: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        token = values.get("IdempotencyToken", "")
        if not re.fullmatch(r"\w{1,32}", token) or values.get("ValidationMethod") != "DNS":
            raise RefusedError("ValidationException", "token or method")
        for one in self.certificates.values():
            if (one.token, one.domain) == (token, values["DomainName"]):
                return {"CertificateArn": one.arn}
        tags = pairs(values.get("Tags", []))
        require_tags(tags, "AccessDeniedException")
        self._made += 1
        arn = f"arn:aws:acm:us-east-1:123456789012:certificate/{self._made:036d}"
        name = hashlib.md5(values["DomainName"].encode()).hexdigest()
        proof = (f"_{name}.{values['DomainName']}.", f"_{name[::-1]}.acm-validations.aws.")
        self.certificates[arn] = Certificate(
            arn=arn, domain=values["DomainName"], token=token, tags=tags, proof=proof
        )
        return {"CertificateArn": arn}

    def on_ListCertificates(self, values: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        wanted = values.get("CertificateStatuses", [])
        found = [one for one in self.certificates.values() if not wanted or one.status in wanted]
        start = int(values.get("NextToken") or 0)
        page: dict[str, Any] = {
            "CertificateSummaryList": [
                {"CertificateArn": one.arn, "DomainName": one.domain, "Status": one.status}
                for one in found[start : start + PAGE]
            ]
        }
        if start + PAGE < len(found):
            page["NextToken"] = str(start + PAGE)
        return page

    def on_DescribeCertificate(self, values: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        one = self._found(values["CertificateArn"])
        one.looks += 1
        if one.status == "PENDING_VALIDATION" and self._record(one.proof[0]) == one.proof[1]:
            one.status = "ISSUED" if one.looks > 3 else one.status
        option: dict[str, Any] = {"DomainName": one.domain, "ValidationMethod": "DNS"}
        if one.looks > 1:
            option["ResourceRecord"] = {
                "Name": one.proof[0], "Type": "CNAME", "Value": one.proof[1],
            }  # fmt: skip
        return {
            "Certificate": {
                "CertificateArn": one.arn, "DomainName": one.domain, "Status": one.status,
                "DomainValidationOptions": [option],
            }
        }  # fmt: skip

    def on_ListTagsForCertificate(self, values: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"Tags": items_of(self._found(values["CertificateArn"]).tags)}

    def on_DeleteCertificate(self, values: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        one = self._found(values["CertificateArn"])
        if self._in_use(one.arn):
            raise RefusedError("ResourceInUseException", f"{one.arn} is in use")
        del self.certificates[one.arn]
        return {}

    def is_issued(self, arn: str, alias: str) -> bool:
        found = self.certificates.get(arn)
        return found is not None and found.status == "ISSUED" and found.domain == alias

    def _found(self, arn: str) -> Certificate:
        if arn not in self.certificates:
            raise RefusedError("ResourceNotFoundException", arn)
        return self.certificates[arn]

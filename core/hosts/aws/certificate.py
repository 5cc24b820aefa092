"""A certificate for a site's own name, from ACM, proven by a record in the name's zone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from core.cloud.aws import GLOBAL_REGION
from core.cloud.aws_errors import error_code
from core.cloud.retrying import Patience, awaited
from core.errors import CloudRefusedError
from core.hosts.aws.site import AwsSite, tag_list, tag_map

CERTIFICATE = "acm_certificate"
ISSUES = Patience(deadline_s=1800.0, interval_s=5.0, longest_s=20.0)

_USABLE = ("ISSUED", "PENDING_VALIDATION")
_ALL = (*_USABLE, "INACTIVE", "EXPIRED", "VALIDATION_TIMED_OUT", "REVOKED", "FAILED")
_MISSING = "ResourceNotFoundException"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """The record that shows ACM who rules the zone."""

    name: str
    value: str


def ensure_certificate(site: AwsSite, domain: str) -> str:
    """The ARN of the session's certificate for that name; it may not be issued yet."""
    known = find_certificate(site, domain)
    if known is not None:
        site.made(CERTIFICATE, known, certificate_tags(site, known))
        return known
    with site.doing(f"ask for a certificate for {domain}"):
        answer = _acm(site).request_certificate(
            DomainName=domain,
            ValidationMethod="DNS",
            IdempotencyToken=hashlib.sha256(site.names.name().encode()).hexdigest()[:32],
            Tags=tag_list(site.tags),
        )
    arn = str(answer["CertificateArn"])
    site.made(CERTIFICATE, arn)
    return arn


def find_certificate(site: AwsSite, domain: str) -> str | None:
    """The ARN of a usable one that is ours; other people's for the same name are no matter."""
    with site.doing(f"look for a certificate for {domain}"):
        named = [one for one in _listed(site, *_USABLE) if one["DomainName"] == domain]
    return min(_own(site, named), default=None)


def own_certificates(site: AwsSite) -> list[str]:
    """ARNs of all that are the session's, usable or not: their names begin with the session's."""
    with site.doing("look for the site's certificates"):
        begins = f"{site.names.name()}."
        named = [one for one in _listed(site, *_ALL) if one["DomainName"].startswith(begins)]
    return _own(site, named)


def proof_of(site: AwsSite, arn: str) -> Proof:
    """The record that has to be in the zone; ACM needs a moment to name it."""

    def named() -> Proof | None:
        options = _described(site, arn).get("DomainValidationOptions", [])
        record = options[0].get("ResourceRecord") if options else None
        return None if record is None else Proof(name=record["Name"], value=record["Value"])

    return site.seen("The record that proves the certificate", named)


def await_issued(site: AwsSite, arn: str) -> None:
    """Return when the certificate can be used.

    Raises:
        CloudRefusedError: ACM does not issue it.
        TimedOutError: Not within half an hour; ACM goes on.
    """

    def is_issued() -> bool | None:
        found = _described(site, arn)
        if found["Status"] not in _USABLE:
            raise CloudRefusedError(
                f"ACM does not issue the certificate for {found['DomainName']}:"
                f" {found.get('FailureReason', found['Status'])}.",
                remedy="Check the zone's CAA records, destroy the site's resources, deploy again.",
            )
        return True if found["Status"] == "ISSUED" else None

    awaited(
        is_issued, what=f"The certificate {arn} is issued", patience=ISSUES,
        remedy="ACM goes on by itself; check that the zone's name servers are those that its"
        " registrar names, then run the same command again.",
        clock=site.clock, cancelled=site.cancelled,
    )  # fmt: skip


def remove_certificate(site: AwsSite, arn: str) -> None:
    """Delete it; missing is fine. A distribution that is just gone holds it for a while."""

    def remove_unless_gone() -> None:
        try:
            _acm(site).delete_certificate(CertificateArn=arn)
        except Exception as error:
            if error_code(error) != _MISSING:
                raise

    site.settled(f"delete the certificate {arn}", remove_unless_gone, "ResourceInUseException")


def certificate_tags(site: AwsSite, arn: str) -> dict[str, str]:
    with site.doing(f"read the tags of the certificate {arn}"):
        return tag_map(_acm(site).list_tags_for_certificate(CertificateArn=arn)["Tags"])


def _described(site: AwsSite, arn: str) -> dict[str, Any]:
    with site.doing(f"look at the certificate {arn}"):
        answer = _acm(site).describe_certificate(CertificateArn=arn)
    return dict(answer["Certificate"])


def _own(site: AwsSite, listed: list[dict[str, Any]]) -> list[str]:
    arns = [str(one["CertificateArn"]) for one in listed]
    return [arn for arn in arns if site.names.owns(certificate_tags(site, arn))]


def _listed(site: AwsSite, *statuses: str) -> Iterator[dict[str, Any]]:
    pages = _acm(site).get_paginator("list_certificates")
    for page in pages.paginate(CertificateStatuses=list(statuses)):
        yield from page["CertificateSummaryList"]


def _acm(site: AwsSite) -> Any:
    """CloudFront takes certificates from this region only."""
    return site.client("acm", GLOBAL_REGION)

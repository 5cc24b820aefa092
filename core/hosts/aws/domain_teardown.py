"""Taking a site's own name away: its records first, its certificate when nothing shows it."""

from __future__ import annotations

from core.errors import BuilderError
from core.hosts.aws.certificate import (
    CERTIFICATE,
    certificate_tags,
    own_certificates,
    remove_certificate,
)
from core.hosts.aws.domain import RECORD, own_records, record_in_zone, remove_record
from core.hosts.aws.site import DISTRIBUTION
from core.hosts.aws.teardown import Teardown

_NAMED = "A record still leads to it; it goes when that is deleted."


def remove_records(teardown: Teardown) -> bool:
    """Delete all that are recorded; whether nothing leads to the site's distribution any more.

    A certificate that was asked for and could not be recorded is recorded before they go: where
    nothing of a name is recorded, nobody looks for one.
    """
    site = teardown.site
    records = own_records(site)
    if not records:
        return True
    try:
        for arn in own_certificates(site):
            site.made(CERTIFICATE, arn, certificate_tags(site, arn))
    except BuilderError as error:
        teardown.keep(RECORD, records[0], error.message)
        return False
    gone = [_remove_record(teardown, one) for one in records]
    if not all(gone):
        for one in site.recorded(DISTRIBUTION):
            teardown.keep(DISTRIBUTION, one, _NAMED)
    return all(gone)


def remove_certificates(teardown: Teardown, held: str | None) -> None:
    """The recorded ones.

    Args:
        held: Why they cannot be deleted now, if so.
    """
    site = teardown.site
    for arn in site.recorded(CERTIFICATE):
        _remove_certificate(teardown, arn, held)


def _remove_certificate(teardown: Teardown, arn: str, held: str | None) -> None:
    teardown.remove(
        CERTIFICATE, arn, find=lambda: arn,
        delete=lambda found: remove_certificate(teardown.site, found), held=held,
    )  # fmt: skip


def _remove_record(teardown: Teardown, resource_id: str) -> bool:
    site = teardown.site
    return teardown.remove(
        RECORD, resource_id,
        find=lambda: None if record_in_zone(site, resource_id) is None else resource_id,
        delete=lambda found: remove_record(site, found),
    )  # fmt: skip

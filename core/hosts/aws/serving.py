"""What a site's public address answers, asked with the site's clock and patience."""

from __future__ import annotations

from core.hosts.aws.site import AwsSite
from core.hosts.served_marker import await_release, served_release

marker_at = served_release


def await_marker(site: AwsSite, url: str, release_id: str) -> None:
    """Return when the public address says that it serves this release.

    Raises:
        TimedOutError: It does not within minutes.
    """
    await_release(url, release_id, clock=site.clock, cancelled=site.cancelled)

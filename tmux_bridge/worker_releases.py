"""The product's own repositories as the pipeline asks for them."""

from __future__ import annotations

from core.models.release import Release
from core.models.session import Session
from core.paths import DataRoot, SessionPaths
from core.ports.host import ReleaseTrees
from core.publish.snapshot import take_release
from core.publish.source_state import missing_in_source
from core.publish.trees import GitReleaseTrees


class RepositoryReleases:
    """Implements the pipeline's port `ReleaseTaker`."""

    def __init__(self, root: DataRoot) -> None:
        self._root = root

    def missing(self, session: Session) -> str | None:
        return missing_in_source(self._paths(session).source, session.site_type)

    def take(self, session: Session) -> Release:
        paths = self._paths(session)
        return take_release(session.key, paths, paths.source, session.site_type)

    def trees(self, session: Session) -> ReleaseTrees:
        return GitReleaseTrees(self._paths(session).repository)

    def _paths(self, session: Session) -> SessionPaths:
        return self._root.session(session.key.user_id, session.key.session_id)

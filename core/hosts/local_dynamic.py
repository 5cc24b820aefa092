"""Dynamic sites on this computer: the `web:` line of a Procfile, contained, behind one port."""

from __future__ import annotations

from core.errors import BuilderError
from core.hosts.environment import HostEnvironment
from core.hosts.instance.variables import checked_name, checked_value, require_few
from core.hosts.local_server.app_log import newest_lines
from core.hosts.local_server.control import Refresh
from core.hosts.local_server.layout import SiteFolder
from core.hosts.local_server.publishing import LocalHost
from core.hosts.local_server.variables_file import VariablesFile
from core.models.release import Destroyed
from core.models.session import Session, SessionKey
from core.models.user import SiteType
from core.ports.host import Host


def create(environment: HostEnvironment) -> Host:
    return LocalDynamicHost(environment)


class LocalDynamicHost(LocalHost):
    """A local host whose sites have a program, with its output and its variables."""

    def __init__(self, environment: HostEnvironment) -> None:
        super().__init__(environment, SiteType.DYNAMIC)

    def app_log(self, session: Session, *, lines: int) -> str:
        """The newest lines that the site's program wrote; empty where it wrote none."""
        paths = self._environment.root.session(session.key.user_id, session.key.session_id)
        return newest_lines(paths.root, lines)

    def variables(self, session: Session) -> tuple[str, ...]:
        """Names of the variables that the site's program gets, sorted."""
        return tuple(sorted(self._kept(session.key).read()))

    def set_variable(self, session: Session, name: str, value: str) -> None:
        """Keep it for every start of the program; a running one is replaced by a proven new one.

        Raises:
            UsageError: Name or value cannot be given to a program, or there are too many.
            AnswerIsNoError: The program does not come up with it; it runs on as it was.
            StorageError, ConflictError, TimedOutError: As for `publish`.
        """
        checked_value(checked_name(name), value)
        self._change(session.key, {name: value})

    def unset_variable(self, session: Session, name: str) -> None:
        """Forget it; nothing where it is not set. Errors are those of `set_variable`."""
        self._change(session.key, {checked_name(name): None})

    def destroy(self, key: SessionKey) -> Destroyed:
        """As for every local site, and its variables are deleted with it."""
        destroyed = super().destroy(key)
        if not destroyed.left:
            self._kept(key).remove()
        return destroyed

    def _change(self, key: SessionKey, changes: dict[str, str | None]) -> None:
        """Write, then prove; what the program does not come up with is taken back."""
        kept = self._kept(key)
        with kept.changing():
            before = kept.read()
            merged = {**before, **changes}
            after = {name: value for name, value in merged.items() if value is not None}
            if after == before:
                return
            require_few(after)
            kept.write(after)
            try:
                self._refresh(key)
            except BuilderError:
                kept.write(before)
                raise

    def _refresh(self, key: SessionKey) -> None:
        site = SiteFolder(self._environment.root, key)
        if site.document() is not None and site.current() is not None:
            self._server.call(Refresh(user_id=key.user_id, session_id=key.session_id))

    def _kept(self, key: SessionKey) -> VariablesFile:
        return VariablesFile(self._environment.root.variables(key.user_id, key.session_id))

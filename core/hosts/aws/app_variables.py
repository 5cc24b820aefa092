"""Setting and unsetting a program's variables on AWS: kept, handed over, or taken back."""

from __future__ import annotations

from dataclasses import dataclass

from core.errors import AnswerIsNoError
from core.hosts.aws.bucket import ensure_bucket
from core.hosts.aws.dynamic_wish import DynamicRecord
from core.hosts.aws.instance_commands import run_command
from core.hosts.aws.parameters import (
    is_recorded,
    read_variable,
    remove_variable,
    variable_names,
    write_variable,
)
from core.hosts.aws.release_archives import ReleaseArchives
from core.hosts.aws.site import BUCKET, AwsSite
from core.hosts.instance.commands import variables_command
from core.hosts.instance.variables import (
    LARGEST_PARAMETER_BYTES,
    checked_name,
    checked_value,
    require_few,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AppVariables:
    """The variables of one session's program.

    Attributes:
        record: Where the program runs; None where nothing is deployed yet, so that a variable is
            only kept.
        archives: Of the same site.
    """

    site: AwsSite
    record: DynamicRecord | None
    archives: ReleaseArchives | None

    def names(self) -> tuple[str, ...]:
        return variable_names(self.site)

    def set(self, name: str, value: str) -> None:
        """Keep it and restart the program with it; what it does not come up with is taken back.

        Raises:
            UsageError: Name or value cannot be given to a program, or there are too many.
            AnswerIsNoError: The program does not come up with it; it runs on as it was.
        """
        checked_value(checked_name(name), value, limit=LARGEST_PARAMETER_BYTES)
        require_few({*self.names(), name})
        if self.record is None and not self.site.recorded(BUCKET):
            # The bucket comes first: it tells in which region the session's things lie.
            ensure_bucket(self.site)
        former = read_variable(self.site, name)
        if former != value or not is_recorded(self.site, name):
            write_variable(self.site, name, value)
        self._hand_over(name, former)

    def unset(self, name: str) -> None:
        """Forget it and restart the program without it. Errors are those of `set`."""
        former = read_variable(self.site, checked_name(name))
        if former is None:
            return
        remove_variable(self.site, name)
        self._hand_over(name, former)

    def _hand_over(self, name: str, former: str | None) -> None:
        if self.record is None or self.archives is None:
            return
        try:
            self.archives.put_agent()
            run_command(
                self.site, self.record.instance_id, variables_command(self.record.instance())
            )
        except AnswerIsNoError:
            if former is None:
                remove_variable(self.site, name)
            else:
                write_variable(self.site, name, former)
            raise

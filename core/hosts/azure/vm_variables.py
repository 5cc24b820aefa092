"""Setting and unsetting the variables of a dynamic site's program on Azure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from core.cloud.retrying import retried
from core.errors import AnswerIsNoError, BuilderError
from core.hosts.azure.groups import ensure_group
from core.hosts.azure.site import AzureSite
from core.hosts.azure.storage import SPREADS
from core.hosts.azure.vault import drop_variable, ensure_vault, keep_variable, kept_variables
from core.hosts.azure.vm_commands import MachineCommand, run
from core.hosts.azure.vm_place import VmPlace, in_group_s_location
from core.hosts.azure.vm_publishing import bring_agent
from core.hosts.instance.commands import variables_command
from core.hosts.instance.variables import require_few

NOT_YET = frozenset({"access_denied", "store_missing", "fetch_refused"})
"""What is answered before all of Azure knows the roles that were just assigned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VmVariables:
    """The variables of one session's program.

    Attributes:
        place: Where the program runs; None where nothing is deployed yet, so that a variable is
            only kept.
    """

    site: AzureSite
    place: VmPlace | None

    def names(self) -> tuple[str, ...]:
        return kept_variables(self.site)

    def set(self, name: str, value: str) -> None:
        """Keep it in the vault and let the machine prove a new program with it.

        Args:
            name: Checked already, like the value.

        Raises:
            UsageError: There are too many.
            AnswerIsNoError: The program does not come up with it; it runs on as it was. A new
                variable is taken back; one that had another value keeps the new one in the vault,
                because nobody here may read the former one.
        """
        site = in_group_s_location(self.site, ensure_group(self.site))
        before = self.names()
        require_few({*before, name})
        ensure_vault(site)
        keep_variable(site, name, value)
        try:
            self._hand_on()
        except AnswerIsNoError:
            if name not in before:
                drop_variable(site, name)
            raise

    def unset(self, name: str) -> None:
        """Forget it; nothing where it is not set."""
        if name in self.names():
            drop_variable(self.site, name)
            self._hand_on()

    def _hand_on(self) -> None:
        """Let a machine that serves fetch the variables, with the agent of today."""
        place = self.place
        if place is None:
            return
        site = replace(self.site, location=place.location)
        bring_agent(site, place)
        command = MachineCommand(name="variables", script=variables_command(place.instance()))
        retried(lambda: run(site, command), again=may_pass, patience=SPREADS, clock=site.clock)


def may_pass(error: Exception) -> bool:
    return isinstance(error, BuilderError) and error.code in NOT_YET

"""The doctor's checks of the clouds: only for a cloud that is asked about or in use.

Each is a look: nothing is made in an account to find out. The SDKs are loaded by the first check.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING

from core.errors import BuilderError
from core.services.checkup import CheckState, Finding, Probe
from core.services.context import Environment

if TYPE_CHECKING:
    from core.cloud.azure_readiness import AzureReadiness

AWS = "aws"
AZURE = "azure"
AWS_CHECKS = (
    "aws.lib", "aws.profile", "aws.region", "aws.reach", "aws.login", "aws.rights",
)  # fmt: skip
AZURE_CHECKS = (
    "azure.lib", "azure.reach", "azure.login", "azure.sub", "azure.location", "azure.providers",
)  # fmt: skip
CLOCK = "clock"


def cloud_probes(environment: Environment, wanted: Collection[str]) -> dict[str, Probe]:
    """Every check of both clouds by its id; those of a cloud that nobody wants only say so."""
    probes = {
        **(_aws(environment) if AWS in wanted else _unasked(AWS, AWS_CHECKS)),
        **(_azure(environment) if AZURE in wanted else _unasked(AZURE, AZURE_CHECKS)),
    }
    clocks = [probes.pop(name) for name in ("aws.clock", "azure.clock") if name in probes]
    if clocks:
        probes[CLOCK] = clocks[0]
    return probes


def _aws(environment: Environment) -> Mapping[str, Probe]:
    from core.cloud.aws_readiness import AwsReadiness  # noqa: PLC0415 - only where asked for

    settings = environment.settings
    look = AwsReadiness(settings.aws_profile, settings.aws_region, environment.clock)

    return {
        "aws.lib": _finding("boto3", look.library),
        "aws.profile": _finding("a profile of the operator's own", look.profile),
        "aws.region": _finding("a region for sites", look.region),
        "aws.reach": _after(look.has_profile, "profile", _finding("AWS", look.endpoints)),
        "aws.login": _after(look.has_profile, "profile", _finding("a login", look.login)),
        "aws.rights": _after(look.has_login, "login", _finding("rights to read", look.rights)),
        "aws.clock": _after(look.has_time, "time from it", _finding("the right time", look.clock)),
    }


def _azure(environment: Environment) -> Mapping[str, Probe]:
    from core.cloud.azure import azure_cloud  # noqa: PLC0415 - only where asked for
    from core.cloud.azure_readiness import AzureReadiness  # noqa: PLC0415

    settings = environment.settings
    try:
        cloud = azure_cloud(settings.azure_cloud)
    except BuilderError as error:
        fault = _fault("a usable azure.cloud", error)
        return dict.fromkeys(AZURE_CHECKS, lambda: fault)
    look = AzureReadiness(
        settings.azure_subscription, cloud, settings.azure_location, environment.clock
    )
    return {
        "azure.lib": _finding("the Azure SDK", look.library),
        "azure.reach": _finding("Azure", look.endpoints),
        "azure.login": _finding("a login", look.login),
        "azure.sub": _after(look.has_login, "login", _finding("a subscription", look.subscription)),
        "azure.location": _after(
            look.has_subscription, "subscription", _finding("a location", look.location)
        ),
        "azure.providers": _after(look.has_subscription, "subscription", _providers(look)),
        "azure.clock": _after(
            look.has_time, "time from it", _finding("the right time", look.clock)
        ),
    }


def _providers(look: AzureReadiness) -> Probe:
    """Without the static ones nothing can be made; the others matter for dynamic sites only."""

    def probe() -> Finding:
        static, dynamic = look.missing_providers()
        missing = (*static, *dynamic)
        if not missing:
            return Finding(state=CheckState.OK, found="all that sites need are registered")
        what = "" if static else ", which dynamic sites need"
        verb = "is" if len(missing) == 1 else "are"
        return Finding(
            state=CheckState.FAIL if static else CheckState.WARN,
            found=f"Azure provider {' and '.join(missing)} {verb} not registered{what}",
            need="registered providers",
            fix=f"az provider register -n {missing[0]}",
        )

    return _translated("registered providers", probe)


def _finding(need: str, act: Callable[[], str]) -> Probe:
    return _translated(need, lambda: Finding(state=CheckState.OK, found=act()))


def _after(is_there: Callable[[], bool], what: str, probe: Probe) -> Probe:
    """What cannot be asked because something else is missing is not a second fault."""
    without = Finding(state=CheckState.SKIP, found=f"not looked at: no {what}")
    return lambda: probe() if is_there() else without


def _translated(need: str, probe: Probe) -> Probe:
    """A fault as a line of the report, with what would have been right."""

    def guarded() -> Finding:
        try:
            return probe()
        except BuilderError as error:
            return _fault(need, error)

    return guarded


def _fault(need: str, error: BuilderError) -> Finding:
    found = error.message.removesuffix(".")
    return Finding(state=CheckState.FAIL, found=found, need=need, fix=error.remedy)


def _unasked(cloud: str, checks: Collection[str]) -> Mapping[str, Probe]:
    finding = Finding(
        state=CheckState.SKIP, found=f"not looked at: tmux-builder doctor --for {cloud}"
    )
    return dict.fromkeys(checks, lambda: finding)

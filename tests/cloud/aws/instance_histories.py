"""The life of a dynamic site on the stand-in: five acts, each of which may fail at any call."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from core.errors import BuilderError
from core.models.user import SiteType
from tests.cloud.aws.faults import FAULTS, FaultKind, FaultPlan
from tests.cloud.aws.histories import Act, CallName, Ended, destroy, publish, roll_back, until_done
from tests.cloud.aws.instance_place import InstancePlace
from tests.cloud.aws.instance_snapshot import instance_snapshot
from tests.cloud.aws.site_kit import CloudSite, PatientClock, cloud_site
from tests.cloud.aws.wire import Call

ZONE = "sites.example"
SETTINGS = {"domain.zone": ZONE}
MOST_TRIES = 200


def write_first(site: CloudSite) -> None:
    site.write("Procfile", "web: python app.py\n")
    site.write("app.py", "print('one')\n")


def write_second(site: CloudSite) -> None:
    site.write("app.py", "print('two')\n")


def set_variable(site: CloudSite, again: bool) -> None:
    site.host.set_variable(site.session, "API_KEY", "a value of some length")  # type: ignore[attr-defined]


def nothing(site: CloudSite) -> None:
    """The source stays as it is."""


ACTS = (
    Act(name="create", prepare=write_first, perform=publish),
    Act(name="redeploy", prepare=write_second, perform=publish),
    Act(name="variable", prepare=nothing, perform=set_variable),
    Act(name="rollback", prepare=nothing, perform=roll_back),
    Act(name="destroy", prepare=nothing, perform=destroy),
)


@contextmanager
def new_life(place: InstancePlace, clock: PatientClock) -> Iterator[CloudSite]:
    """A new site with a name of its own, in a new account."""
    new_account(place)
    with cloud_site(SETTINGS, SiteType.DYNAMIC, clock=clock) as site:
        yield site


def new_account(place: InstancePlace) -> None:
    """It has nothing but the name's zone and the product's policy, and its machines are quick."""
    place.empty()
    place.is_quick = True
    place.keep_policy()
    place.route53.add_zone(ZONE)


def lived(place: InstancePlace, clock: PatientClock) -> dict[str, Ended]:
    """A life without a fault."""
    ends: dict[str, Ended] = {}
    with new_life(place, clock) as site:
        for act in ACTS:
            begin(place, site, act)
            act.perform(site, False)
            calls = tuple(one for one in place.aws.standin.log if one[0] != "sts")
            ends[act.name] = Ended(state=instance_snapshot(place, site), calls=calls)
    return ends


def begin(place: InstancePlace, site: CloudSite, act: Act) -> None:
    """The source is changed, nothing is counted yet."""
    act.prepare(site)
    place.aws.standin.faults.clear()
    place.aws.standin.forget_calls()


def disturbed(
    place: InstancePlace, site: CloudSite, act: Act, number: int, kind: FaultKind
) -> CallName | None:
    """Let the n-th call of the act fail, then run it again until it is done.

    Returns:
        The call that met the fault.
    """
    begin(place, site, act)
    faults = place.aws.standin.faults
    faults.at(number, kind)
    remedy, is_done = "none needed", False
    try:
        act.perform(site, False)
        is_done = True
    except BuilderError as error:
        remedy = error.remedy
    met = faults.met
    faults.clear()
    assert remedy, (act.name, met, kind)
    assert place.untagged() == [], (act.name, met, kind)
    if not is_done:
        until_done(site, act)
    return met


class LostAnswer(FaultPlan):
    """The service does what one call asks, and the answer never comes."""

    def __init__(self, name: CallName, number: int) -> None:
        super().__init__()
        self._name, self._left = name, number

    def meets(self, call: Call) -> FaultKind | None:
        self._left -= 1 if call.name == self._name else 0
        return FaultKind.TIMEOUT if call.name == self._name and self._left == 0 else None


class EachCallOnce(FaultPlan):
    """Every call fails once: the n-th of its name in the first try that comes so far.

    The data path tries again by itself, so its calls count by their names alone.
    """

    def __init__(self) -> None:
        super().__init__()
        self.failed: set[tuple[CallName, int]] = set()
        self._counted: Counter[CallName] = Counter()

    def begin_try(self) -> None:
        self._counted.clear()

    def meets(self, call: Call) -> FaultKind | None:
        if call.service == "sts":
            return None
        with self._lock:
            self._counted[call.name] += 0 if call.invocation is None else 1
            which = (call.name, self._counted[call.name])
            if which in self.failed:
                return None
            self.failed.add(which)
            return FAULTS[len(self.failed) % len(FAULTS)]


def stumbled(place: InstancePlace, site: CloudSite, act: Act) -> set[CallName]:
    """Perform the act, taken up again after every fault, until each of its calls has failed once.

    Returns:
        Names of the calls that failed.
    """
    begin(place, site, act)
    faults = EachCallOnce()
    place.aws.standin.faults, usual = faults, place.aws.standin.faults
    try:
        for tries in range(MOST_TRIES):
            faults.begin_try()
            try:
                act.perform(site, tries > 0)
            except BuilderError:
                assert place.untagged() == [], (act.name, faults.failed)
            else:
                break
    finally:
        place.aws.standin.faults = usual
    return {name for name, _number in faults.failed}

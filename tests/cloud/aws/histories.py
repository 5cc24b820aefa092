"""The life of a static site on the stand-in: four acts, each of which may fail at any call."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from core.errors import BuilderError
from tests.cloud.aws.faults import FaultKind
from tests.cloud.aws.fixtures import AwsPlace
from tests.cloud.aws.site_kit import CloudSite, PatientClock, cloud_site
from tests.cloud.aws.snapshot import pages, snapshot, untagged

MOST_TRIES = 4

CallName = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One act of an operator.

    Attributes:
        prepare: What changes in the source before it.
        perform: The act; its flag says that the same run is taken up once more.
    """

    name: str
    prepare: Callable[[CloudSite], None]
    perform: Callable[[CloudSite, bool], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How an act ends when nothing fails, and the calls that it takes."""

    state: Any
    calls: tuple[CallName, ...]


Life = tuple[tuple[Act, Ended], ...]


def write_first(site: CloudSite) -> None:
    site.write("index.html", "<h1>one</h1>")
    site.write("blog/index.html", "<h1>blog</h1>")
    site.write("style.css", "body { color: black }")


def write_second(site: CloudSite) -> None:
    site.write("index.html", "<h1>two</h1>")
    (site.paths.source / "style.css").unlink()
    site.write("gone.html", "there for a while")


def publish(site: CloudSite, again: bool) -> None:
    site.publish(again=again)


def roll_back(site: CloudSite, again: bool) -> None:
    site.publish(site.releases[0], again=again)


def destroy(site: CloudSite, again: bool) -> None:
    left = site.destroy().left
    if left:
        raise BuilderError("something is left", remedy="run it again", data={"left": left})


ACTS = (
    Act(name="create", prepare=write_first, perform=publish),
    Act(name="redeploy", prepare=write_second, perform=publish),
    Act(name="rollback", prepare=lambda _site: None, perform=roll_back),
    Act(name="destroy", prepare=lambda _site: None, perform=destroy),
)


@contextmanager
def new_life(place: AwsPlace, clock: PatientClock) -> Iterator[CloudSite]:
    """A new site in an empty account."""
    place.empty()
    with cloud_site(clock=clock) as site:
        yield site


def lived(place: AwsPlace, clock: PatientClock, acts: Sequence[Act]) -> Life:
    """A life without a fault."""
    life: list[tuple[Act, Ended]] = []
    with new_life(place, clock) as site:
        for act in acts:
            begin(place, site, act)
            act.perform(site, False)
            calls = tuple(one for one in place.standin.log if one[0] != "sts")
            life.append((act, Ended(state=snapshot(place, site), calls=calls)))
    return tuple(life)


def begin(place: AwsPlace, site: CloudSite, act: Act) -> None:
    """The source is changed, viewers' caches are full, nothing is counted yet."""
    act.prepare(site)
    pages(place)
    place.standin.faults.clear()
    place.standin.forget_calls()


def disturbed(
    place: AwsPlace, site: CloudSite, act: Act, number: int, kind: FaultKind
) -> CallName | None:
    """Let the n-th call of the act fail, then run it again until it is done.

    Returns:
        The call that met the fault.
    """
    begin(place, site, act)
    place.standin.faults.at(number, kind)
    remedy = "none needed"
    try:
        act.perform(site, False)
    except BuilderError as error:
        remedy = error.remedy
    met = place.standin.faults.met
    place.standin.faults.clear()
    assert remedy, (act.name, met, kind)
    assert untagged(place) == [], (act.name, met, kind)
    until_done(site, act)
    return met


def until_done(site: CloudSite, act: Act, *, again: bool = True) -> None:
    """Perform the act again, as an operator does who reads that it can be run again."""
    for tries in range(1, MOST_TRIES + 1):
        try:
            act.perform(site, again or tries > 1)
        except BuilderError:
            if tries == MOST_TRIES:
                raise
        else:
            return

"""A fault at any call of any act of a dynamic site: running it again ends as without a fault.

A plain run lives one life in which every call fails once, the kinds taking turns, and one in which
the process is killed once in each act; `-m faults` lives one for each call and kind.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from core.models.user import SiteType
from tests.cloud.aws.faults import FAULTS, FaultKind
from tests.cloud.aws.histories import Act, Ended, until_done
from tests.cloud.aws.instance_histories import (
    ACTS,
    SETTINGS,
    begin,
    disturbed,
    lived,
    new_account,
    new_life,
    stumbled,
)
from tests.cloud.aws.instance_place import InstancePlace
from tests.cloud.aws.instance_snapshot import instance_snapshot
from tests.cloud.aws.killed_process import die_during
from tests.cloud.aws.site_kit import PatientClock, opened_site, site_folder

CLOCK = PatientClock()


def live_with_faults(
    place: InstancePlace, ends: dict[str, Ended], number: int, kind_of: Callable[[int], FaultKind]
) -> set[tuple[str, int]]:
    """One life in which the n-th call of each act fails; the acts and calls that did."""
    failed: set[tuple[str, int]] = set()
    with new_life(place, CLOCK) as site:
        for turn, act in enumerate(ACTS):
            end, kind = ends[act.name], kind_of(number + turn)
            if number > len(end.calls):
                begin(place, site, act)
                act.perform(site, False)
                continue
            met = disturbed(place, site, act, number, kind)
            found = instance_snapshot(place, site)
            assert found == end.state, (act.name, number, met, kind)
            assert not place.ec2.violations
            assert not place.aws.s3.violations
            if met is not None:
                failed.add((act.name, number))
    return failed


def live_all(
    place: InstancePlace, kind_of: Callable[[int], FaultKind]
) -> tuple[set[tuple[str, int]], set[tuple[str, int]]]:
    """Lives until each call of each act has failed once: those that should, and those that did."""
    ends = lived(place, CLOCK)
    expected = {(name, n) for name, end in ends.items() for n in range(1, len(end.calls) + 1)}
    longest = max(number for _name, number in expected)
    failed = [live_with_faults(place, ends, number, kind_of) for number in range(1, longest + 1)]
    return expected, set().union(*failed)


def test_an_act_whose_every_call_failed_once_ends_as_one_without_faults(
    instance_place: InstancePlace,
) -> None:
    ends = lived(instance_place, CLOCK)
    with new_life(instance_place, CLOCK) as site:
        for act in ACTS:
            failed = stumbled(instance_place, site, act)
            assert set(ends[act.name].calls) - failed == set(), act.name
            assert instance_snapshot(instance_place, site) == ends[act.name].state, act.name
        assert not instance_place.ec2.violations


@pytest.mark.faults
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", FAULTS)
def test_every_kind_of_fault_at_every_call_of_a_dynamic_site_is_mended(
    instance_place: InstancePlace, kind: FaultKind
) -> None:
    expected, failed = live_all(instance_place, lambda _turn: kind)
    assert failed == expected


def killed_and_gone_on(
    place: InstancePlace, base: Path, act: Act, number: int, ends: dict[str, Ended]
) -> None:
    """Kill the process at the n-th call of the act, and let another one go on."""
    kind = FaultKind.KILLED_AFTER if number % 2 else FaultKind.KILLED_BEFORE
    with opened_site(base, SETTINGS, SiteType.DYNAMIC, clock=CLOCK) as site:
        begin(place, site, act)
    assert die_during(place.aws, base, act.name, number, kind, SiteType.DYNAMIC, SETTINGS)
    met = place.aws.standin.faults.met
    place.aws.standin.faults.clear()
    assert place.untagged() == [], (act.name, met)
    with opened_site(base, SETTINGS, SiteType.DYNAMIC, clock=CLOCK) as site:
        until_done(site, act, again=False)
        found = instance_snapshot(place, site)
        assert found == ends[act.name].state, (act.name, number, met, kind)
    assert not place.ec2.violations
    assert not place.aws.s3.violations


def live_killed(
    place: InstancePlace, ends: dict[str, Ended], number_in: Callable[[str], int]
) -> None:
    """One life in which each act is killed at a call of it; 0 for none."""
    new_account(place)
    with site_folder() as base:
        for act in ACTS:
            if number := number_in(act.name):
                killed_and_gone_on(place, base, act, number, ends)
                continue
            with opened_site(base, SETTINGS, SiteType.DYNAMIC, clock=CLOCK) as site:
                begin(place, site, act)
                act.perform(site, False)


def test_a_process_that_is_killed_once_in_each_act_is_gone_on_from(
    instance_place: InstancePlace,
) -> None:
    ends = lived(instance_place, CLOCK)
    live_killed(instance_place, ends, lambda name: 2 * len(ends[name].calls) // 3)


@pytest.mark.faults
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("part", range(4))
def test_a_process_that_is_killed_at_any_call_is_gone_on_from(
    instance_place: InstancePlace, part: int
) -> None:
    """Each part has every fourth call."""
    ends = lived(instance_place, CLOCK)
    counts = {name: len(end.calls) for name, end in ends.items()}
    for number in range(1 + part, max(counts.values()) + 1, 4):

        def number_in(name: str, at: int = number) -> int:
            return at if at <= counts[name] else 0

        live_killed(instance_place, ends, number_in)

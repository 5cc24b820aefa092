"""A fault at any call of any act of a dynamic site: running it again ends as without a fault.

A plain run lives one life in which every call fails once, the kinds taking turns; `-m faults` lives
one for each call and kind.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.cloud.aws.faults import FAULTS, FaultKind
from tests.cloud.aws.histories import Ended
from tests.cloud.aws.instance_histories import ACTS, begin, disturbed, lived, new_life, stumbled
from tests.cloud.aws.instance_place import InstancePlace
from tests.cloud.aws.instance_snapshot import instance_snapshot
from tests.cloud.aws.site_kit import PatientClock

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

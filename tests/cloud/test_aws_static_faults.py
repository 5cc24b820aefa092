"""A fault at any call of any act: afterwards the same act ends as it does without a fault.

A plain run tries one kind at each call, the kinds taking turns; `-m faults` tries them all.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from core.cloud.aws import IDENTITY_LASTS_S
from core.errors import BuilderError
from tests.cloud.aws.faults import FAULTS, FaultKind
from tests.cloud.aws.fixtures import AwsPlace
from tests.cloud.aws.histories import (
    ACTS,
    Act,
    Ended,
    Life,
    begin,
    disturbed,
    lived,
    new_life,
    until_done,
)
from tests.cloud.aws.killed_process import die_during
from tests.cloud.aws.site_kit import PatientClock, opened_site, site_folder
from tests.cloud.aws.snapshot import snapshot, untagged

CLOCK = PatientClock()


def live_with_faults(
    place: AwsPlace, life: Life, number: int, kind_of: Callable[[int], FaultKind]
) -> set[tuple[str, int]]:
    """One life in which the n-th call of each act fails; the acts and calls that did."""
    failed: set[tuple[str, int]] = set()
    with new_life(place, CLOCK) as site:
        for turn, (act, end) in enumerate(life):
            kind = kind_of(number + turn)
            met = disturbed(place, site, act, number, kind)
            assert snapshot(place, site) == end.state, (act.name, number, met, kind)
            assert not place.s3.violations
            if met is not None:
                failed.add((act.name, number))
    return failed


def live_all(place: AwsPlace, kind_of: Callable[[int], FaultKind]) -> None:
    """Lives until each call of each act has failed once.

    The acts in the middle take few calls, so most lives are without them.
    """
    whole = lived(place, CLOCK, ACTS)
    short = lived(place, CLOCK, (ACTS[0], ACTS[-1]))
    middle = max(len(end.calls) for _act, end in whole[1:-1])
    longest = max(len(end.calls) for _act, end in short)
    for number in range(1, longest + 1):
        life = whole if number <= middle else short
        failed = live_with_faults(place, life, number, kind_of)
        expected = {(act.name, number) for act, end in life if number <= len(end.calls)}
        assert failed == expected


def test_a_fault_at_any_call_leaves_nothing_that_running_again_does_not_mend(
    aws_place: AwsPlace,
) -> None:
    live_all(aws_place, lambda turn: FAULTS[turn % len(FAULTS)])


@pytest.mark.faults
@pytest.mark.parametrize("kind", FAULTS)
def test_every_kind_of_fault_at_every_call_is_mended_by_running_again(
    aws_place: AwsPlace, kind: FaultKind
) -> None:
    live_all(aws_place, lambda _turn: kind)


@pytest.mark.parametrize(
    ("act", "kind"),
    list(zip(ACTS, FAULTS, strict=False)),
    ids=lambda part: getattr(part, "name", str(part)),
)
def test_a_login_that_cannot_be_asked_about_stops_the_act_before_it_begins(
    aws_place: AwsPlace, act: Act, kind: FaultKind
) -> None:
    with new_life(aws_place, CLOCK) as site:
        for one in ACTS[: ACTS.index(act)]:
            one.prepare(site)
            one.perform(site, False)
        act.prepare(site)
        before = snapshot(aws_place, site)
        CLOCK.sleep(IDENTITY_LASTS_S + 1)
        aws_place.standin.forget_calls()
        aws_place.standin.faults.at_identity(kind)
        with pytest.raises(BuilderError):
            act.perform(site, False)
        aws_place.standin.faults.clear()
        assert snapshot(aws_place, site) == before
        assert {service for service, _operation in aws_place.standin.log} == {"sts"}


def killed_and_gone_on(place: AwsPlace, killed: Act, end: Ended, number: int) -> None:
    """Kill the process at the n-th call of the act, and let another one go on."""
    kind = FaultKind.KILLED_AFTER if number % 2 else FaultKind.KILLED_BEFORE
    place.empty()
    with site_folder() as base:
        with opened_site(base, clock=CLOCK) as site:
            for act in ACTS[: ACTS.index(killed)]:
                act.prepare(site)
                act.perform(site, False)
            begin(place, site, killed)
        assert die_during(place, base, killed.name, number, kind)
        met = place.standin.faults.met
        place.standin.faults.clear()
        assert untagged(place) == [], (killed.name, met)
        with opened_site(base, clock=CLOCK) as site:
            until_done(site, killed, again=False)
            assert snapshot(place, site) == end.state, (killed.name, number, met, kind)
    assert not place.s3.violations


@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.name)
def test_a_process_that_is_killed_at_a_call_is_gone_on_from(aws_place: AwsPlace, act: Act) -> None:
    """Three calls of each; `-m faults` tries them all."""
    end = dict(lived(aws_place, CLOCK, ACTS))[act]
    last = len(end.calls)
    for number in (2, 2 * last // 3, last):
        killed_and_gone_on(aws_place, act, end, number)


@pytest.mark.faults
@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.name)
def test_a_process_that_is_killed_at_any_call_is_gone_on_from(
    aws_place: AwsPlace, act: Act
) -> None:
    end = dict(lived(aws_place, CLOCK, ACTS))[act]
    for number in range(1, len(end.calls) + 1):
        killed_and_gone_on(aws_place, act, end, number)

"""A fault at every call to Azure around a machine: running it again ends where a clean run ends.

A plain run goes through one life in which every kind of call fails once, the kinds of fault taking
turns; `make test-faults` has every kind of fault at every single call, each from a new beginning.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest

from core.cloud.azure import IDENTITY_LASTS_S
from core.errors import BuilderError
from core.models.release import Release
from tests.cloud.aws.site_kit import CloudSite
from tests.cloud.azure.arm_authorization import ROLE_ASSIGNMENTS
from tests.cloud.azure.arm_compute import COMMANDS, MACHINES
from tests.cloud.azure.arm_dns import add_zone
from tests.cloud.azure.arm_storage import ACCOUNTS
from tests.cloud.azure.dynamic_sites import app_host, dynamic_site, write_program
from tests.cloud.azure.faults import Call, FaultKind
from tests.cloud.azure.machine_fixtures import quick_server
from tests.cloud.azure.machine_world import MachineWorld
from tests.cloud.azure.quick_machines import QuickMachines

__all__ = ["quick_server"]

KINDS = tuple(FaultKind)
ZONE = "sites.example"
MOST_RUNS = 200
ACT_RUN = 3
"""The run of the act that is looked at; those before it made its beginning."""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """Where an act ends: in Azure, in the container, on the machine, and in the records."""

    resources: dict[str, Any]
    rights: list[str]
    files: list[str]
    served: str | None
    variables: tuple[str, ...]
    recorded: list[tuple[str, str]]


class Bench:
    """One site that is brought to the same beginning before each act."""

    def __init__(self, world: MachineWorld, site: CloudSite) -> None:
        self.world = world
        self.site = site
        self.first = site.take()
        write_program(site, "two")
        self.second = site.take()
        # Both are known deploys from the start, so that what is kept depends on no earlier test.
        self._from_nothing(self.first, self.second)

    def prepare(self, act: str) -> None:
        """Its beginning, the same each time, and nothing remembered that would spare a call."""
        self.world.calls.choose = None
        self.world.calls.begin()
        before = {"create": (), "rollback": (self.first, self.second)}
        self._from_nothing(*before.get(act, (self.first,)))
        self.site.runs = ACT_RUN
        self.world.clock.sleep(IDENTITY_LASTS_S + 1)

    def run(self, act: str) -> None:
        acts: dict[str, Callable[[], object]] = {
            "create": lambda: self._publish(self.first),
            "redeploy": lambda: self._publish(self.second),
            "rollback": lambda: self._publish(self.first),
            "set": lambda: app_host(self.site).set_variable(self.site.session, "KEY", "value"),
            "destroy": self.site.destroy,
        }
        acts[act]()

    def ended(self) -> Ended:
        """Role assignments are named by identities that differ from run to run."""
        resources, state = self.world.described(), self.world.state
        rights = sorted(
            str(one.properties["roleDefinitionId"]) for one in state.of(ROLE_ASSIGNMENTS)
        )
        apart = ("/roleassignments/", "/runcommands/")
        machines, recorded = self.world.machines, self.site.store.sessions.resources(self.site.key)
        assert isinstance(machines, QuickMachines)
        found = [machines.at(one.resource_id) for one in state.of(MACHINES)]
        return Ended(
            resources={
                key: value
                for key, value in resources.items()
                if not any(part in key for part in apart)
            },
            rights=rights,
            files=self._files(),
            served=found[0].release if found else None,
            variables=tuple(found[0].variables) if found else (),
            recorded=sorted((one.kind, one.resource_id) for one in recorded),
        )

    def _files(self) -> list[str]:
        names = [
            one.name
            for account in self.world.state.of(ACCOUNTS)
            for one in self.world.blobs.container(account.name, "releases").list_blobs()
        ]
        return sorted(names)

    def _publish(self, release: Release) -> None:
        self.site.publish(release, again=True)

    def _from_nothing(self, *releases: Release) -> None:
        """An empty subscription, and these deploys in it, each by the run of its place."""
        self.world.reset()
        add_zone(self.world.state, ZONE)
        self.site.store.sessions.set_destroyed(self.site.key)
        self.site.store.published.forget(self.site.key)
        for run, release in enumerate(releases, start=1):
            self.site.runs = run
            self._publish(release)


@pytest.fixture(scope="module")
def bench(quick_server: MachineWorld) -> Iterator[Bench]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in quick_server.environ().items():
            patch.setenv(name, value)
        with dynamic_site(quick_server, {"domain.zone": ZONE}) as site:
            yield Bench(quick_server, site)
            quick_server.calls.choose = None


class EachOnce:
    """Every kind of call fails once; with `DARK` nothing comes through until the run has ended."""

    def __init__(self, first: int) -> None:
        self.failed: set[tuple[str, str, str]] = set()
        self._kinds = itertools.islice(itertools.cycle(KINDS), first, None)
        self._dark = False

    def __call__(self, call: Call) -> FaultKind | None:
        if self._dark:
            return FaultKind.DARK
        shape = (call.plane, call.method, call.path)
        if shape in self.failed:
            return None
        self.failed.add(shape)
        kind = next(self._kinds)
        self._dark = kind is FaultKind.DARK
        return kind

    def next_run(self) -> None:
        self._dark = False


def clean_run(bench: Bench, act: str) -> tuple[Ended, list[Call]]:
    """Where the act ends undisturbed, and the calls that it makes."""
    bench.prepare(act)
    bench.world.calls.begin()
    bench.run(act)
    made = list(bench.world.calls.made)
    return bench.ended(), made


def disturbed_life(bench: Bench, act: str, first: int) -> tuple[Ended, EachOnce]:
    """Run again and again until nothing fails any more."""
    bench.prepare(act)
    faults = EachOnce(first)
    bench.world.calls.choose = faults
    for _run in range(MOST_RUNS):
        before = len(faults.failed)
        with suppress(BuilderError):
            bench.run(act)
        faults.next_run()
        if len(faults.failed) == before:
            break
    bench.world.calls.choose = None
    return bench.ended(), faults


def disturbed(bench: Bench, act: str, number: int, kind: FaultKind) -> Ended:
    """Where the act ends if its n-th call fails and it is then run again."""
    bench.prepare(act)
    bench.world.calls.begin((number, kind))
    with suppress(BuilderError):
        bench.run(act)
    bench.world.calls.begin()
    bench.run(act)
    return bench.ended()


ACTS = ("create", "redeploy", "rollback", "set", "destroy")


@pytest.mark.parametrize("act", ACTS)
def test_a_life_in_which_every_call_fails_once_ends_as_a_clean_one(bench: Bench, act: str) -> None:
    expected, made = clean_run(bench, act)
    found, faults = disturbed_life(bench, act, ACTS.index(act))
    assert found == expected
    assert {(one.plane, one.method, one.path) for one in made} <= faults.failed


@pytest.mark.timeout(1200)
@pytest.mark.faults
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("act", ACTS)
def test_after_every_kind_of_fault_at_any_call_it_ends_so_too(
    bench: Bench, act: str, kind: FaultKind
) -> None:
    expected, made = clean_run(bench, act)
    wrong = [
        number for number in range(len(made)) if disturbed(bench, act, number, kind) != expected
    ]
    assert wrong == []


@pytest.mark.parametrize(
    "word", ["/CNAME/", "/TXT/", "/customDomains/", "/vaults/", "/virtualMachines/"]
)
def test_what_a_killed_deploy_has_just_made_is_found_by_destroy(bench: Bench, word: str) -> None:
    """Azure did it, and the product died before it heard of it."""
    bench.prepare("create")
    before, dead = bench.world.ids(), False

    def choose(call: Call) -> FaultKind | None:
        nonlocal dead
        is_it = not dead and call.method == "PUT" and word in call.path
        dead = dead or is_it
        return FaultKind.LOST if is_it else FaultKind.DARK if dead else None

    bench.world.calls.choose = choose
    with pytest.raises(BuilderError):
        bench.run("create")
    bench.world.calls.choose = None
    assert any(word.lower() in one for one in bench.world.ids())
    assert bench.site.destroy().left == ()
    assert bench.world.ids() == before


def test_the_bench_sees_a_difference(bench: Bench) -> None:
    expected, _made = clean_run(bench, "create")
    [machine] = bench.world.state.of(MACHINES)
    machine.tags["CostCenter"] = "somebody"
    assert bench.ended() != expected
    assert not bench.world.state.of(COMMANDS)[0].properties["asyncExecution"]

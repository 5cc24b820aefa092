"""A fault at every single call to Azure: running it again ends where a clean run ends.

A plain run has one sampled kind of fault for each call; `make test-faults` has all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import pytest

from core.cloud.azure import IDENTITY_LASTS_S
from core.errors import BuilderError
from core.models.release import Release, Resource
from tests.cloud.aws.site_kit import CloudSite
from tests.cloud.azure.arm_storage import ACCOUNTS
from tests.cloud.azure.faults import FaultKind
from tests.cloud.azure.sessions import another_session, azure_site
from tests.cloud.azure.world import AzureWorld

KINDS = tuple(FaultKind)
ACTS = ("create", "redeploy", "rollback", "destroy", "leave")
"""Destroying the last site of a shared profile is one act, leaving another site there a second."""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """Where an act ends: what is in Azure, what lies in the container, and what is recorded."""

    resources: dict[str, Any]
    files: dict[str, bytes]
    recorded: list[tuple[str, str]]


class Bench:
    """One site that is brought to the same beginning before each act."""

    def __init__(self, world: AzureWorld, site: CloudSite) -> None:
        self.world = world
        self._site = site
        self._first = site.take()
        site.write("about/index.html", "<h1>About us</h1>")
        (site.paths.source / "style.css").unlink()
        self._second = site.take()
        self._neighbour = another_session(site, 1)
        self._made: dict[str, dict[str, Any]] = {}
        self._records: list[Resource] = []

    def prepare(self, act: str) -> None:
        """Its beginning, and nothing remembered that would spare a call."""
        self.world.calls.begin()
        if act == "create":
            self._empty()
        elif act in ("destroy", "leave"):
            self._put_back(act)
        else:
            self._site.publish(self._first if act == "redeploy" else self._second)
        self._site.runs = 2 if act in ("redeploy", "rollback") else 1
        self.world.clock.sleep(IDENTITY_LASTS_S + 1)

    def run(self, act: str) -> None:
        if act in ("destroy", "leave"):
            self._site.destroy()
        else:
            self._publish(self._second if act == "redeploy" else self._first)

    def ended(self) -> Ended:
        store = self._site.store.sessions
        resources = self.world.described()
        account = next((one.name for one in self.world.state.of(ACCOUNTS)), "")
        recorded = [(one.kind, one.resource_id) for one in store.resources(self._site.key)]
        return Ended(
            resources=resources, files=self.world.files(account), recorded=sorted(recorded)
        )

    def _publish(self, release: Release) -> None:
        self._site.publish(release, again=True)

    def _empty(self) -> None:
        self.world.reset()
        for key in (self._site.key, self._neighbour.key):
            self._site.store.sessions.set_destroyed(key)
            self._site.store.published.forget(key)

    def _put_back(self, act: str) -> None:
        """A deployed site, made once and then put back: only its removal is looked at."""
        store, key = self._site.store.sessions, self._site.key
        if act not in self._made:
            self._empty()
            self._site.runs = 1
            self._publish(self._first)
            if act == "leave":
                self._neighbour.publish()
            self._made[act] = deepcopy(self.world.state.resources)
            self._records = store.resources(key)
        self._empty()
        self.world.state.resources.update(deepcopy(self._made[act]))
        for one in self._records:
            store.add_resource(key, one)
        store.pin_account(key, self.world.state.subscription_id)


@pytest.fixture(scope="module")
def bench(azure_server: AzureWorld) -> Iterator[Bench]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in azure_server.environ().items():
            patch.setenv(name, value)
        with azure_site(azure_server) as site:
            yield Bench(azure_server, site)


def clean_run(bench: Bench, act: str) -> tuple[Ended, int]:
    """Where the act ends undisturbed, and how many calls that takes."""
    bench.prepare(act)
    bench.world.calls.begin()
    bench.run(act)
    count = len(bench.world.calls.made)
    return bench.ended(), count


def disturbed(bench: Bench, act: str, number: int, kind: FaultKind) -> Ended:
    """Where the act ends if its n-th call fails and it is then run again."""
    bench.prepare(act)
    bench.world.calls.begin((number, kind))
    with suppress(BuilderError):
        bench.run(act)
    bench.world.calls.begin()
    bench.run(act)
    return bench.ended()


def ends_elsewhere(bench: Bench, act: str, kinds: list[FaultKind]) -> list[str]:
    """Calls whose fault leaves something else than a clean run, with the kind of fault."""
    expected, count = clean_run(bench, act)
    assert count > 5
    wrong = []
    for number in range(count):
        kind = kinds[number % len(kinds)]
        if disturbed(bench, act, number, kind) != expected:
            wrong.append(f"{act}: {kind} at call {number}")
    return wrong


@pytest.mark.parametrize("act", ACTS)
def test_after_a_fault_at_any_call_the_next_run_ends_as_a_clean_one(bench: Bench, act: str) -> None:
    assert ends_elsewhere(bench, act, list(KINDS)) == []


@pytest.mark.faults
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("act", ACTS)
def test_after_every_kind_of_fault_at_any_call_it_ends_so_too(
    bench: Bench, act: str, kind: FaultKind
) -> None:
    assert ends_elsewhere(bench, act, [kind]) == []

"""Requests in the worker: slow ones apart, and what a worker that ends leaves to the next."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from core.clock import wait_for
from core.handover import Handover
from core.models.release import Destroyed, Resource
from core.models.request import RequestKind, RequestState
from core.models.session import Session, SessionKey
from tests.unit.services_place import Place, make_place
from tmux_bridge.request_handlers import HandlerParts, RequestHandlers

SECRET = "sk-live-0123456789abcdef"


@dataclass
class SlowHost:
    """Deletes when it is let; `begun` counts how often it started to."""

    may_end: threading.Event = field(default_factory=threading.Event)
    begun: int = 0

    def destroy(self, key: SessionKey) -> Destroyed:
        self.begun += 1
        self.may_end.wait(30)
        return Destroyed(deleted=(Resource(kind="s3_bucket", resource_id="b"),))

    def ensure_served(self, session: Session) -> str | None:
        return "http://127.0.0.1:1"

    def app_log(self, session: Session, *, lines: int) -> str:
        return ""

    def variables(self, session: Session) -> tuple[str, ...]:
        return ()

    def set_variable(self, session: Session, name: str, value: str) -> None:
        raise RuntimeError(f"the library said {value}")

    def unset_variable(self, session: Session, name: str) -> None:
        """Nothing."""


@pytest.fixture
def host() -> Iterator[SlowHost]:
    found = SlowHost()
    yield found
    found.may_end.set()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return make_place(tmp_path)


def handlers(place: Place, host: SlowHost) -> RequestHandlers:
    unused = cast(Any, None)
    runtime = place.services.environment.runtime
    return RequestHandlers(
        HandlerParts(
            store=place.store, views=place.views, agent=unused, checks=unused,
            hosts=lambda _session: cast(Any, host), handover=Handover(runtime.secrets),
            approvals=unused,
        )
    )  # fmt: skip


def is_over(place: Place, request_id: str) -> bool:
    return place.store.requests.require(request_id).state.is_over


def test_a_look_does_not_wait_behind_deletions(place: Place, host: SlowHost) -> None:
    requests, key = handlers(place, host), place.session()
    for _ in range(10):
        place.store.requests.add(RequestKind.DESTROY, key)
    look = place.store.requests.add(RequestKind.SERVE, key).request_id
    requests.tick()
    assert wait_for(lambda: is_over(place, look), deadline_s=10)
    assert place.store.requests.require(look).state is RequestState.DONE


def test_a_deletion_that_a_stopping_worker_leaves_is_taken_up_by_the_next(
    place: Place, host: SlowHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tmux_bridge.request_handlers.GRACE_S", 0.05)
    first, key = handlers(place, host), place.session()
    destroy = place.store.requests.add(RequestKind.DESTROY, key).request_id
    first.tick()
    assert wait_for(lambda: host.begun == 1, deadline_s=10)
    assert not first.close()
    assert not is_over(place, destroy)

    successor = SlowHost()
    successor.may_end.set()
    second = handlers(place, successor)
    second.fail_leftovers()
    second.tick()
    assert wait_for(lambda: is_over(place, destroy), deadline_s=10)
    assert successor.begun == 1
    assert place.store.requests.require(destroy).state is RequestState.DONE
    assert second.close()


def test_a_secret_of_a_front_end_that_was_killed_is_cleared_at_a_start(
    place: Place, host: SlowHost
) -> None:
    handover = Handover(place.services.environment.runtime.secrets)
    forgotten, wanted = handover.leave("forgotten"), handover.leave("wanted")
    payload = {"name": "A", "value_file": wanted}
    place.store.requests.add(RequestKind.SET_VARIABLE, place.session(), cast(Any, payload))
    handlers(place, host).fail_leftovers()
    left = [path.name for path in place.services.environment.runtime.secrets.iterdir()]
    assert left == [wanted]
    assert forgotten not in left


def test_a_fault_while_setting_a_secret_writes_it_nowhere(
    place: Place, host: SlowHost, caplog: pytest.LogCaptureFixture
) -> None:
    name = Handover(place.services.environment.runtime.secrets).leave(SECRET)
    payload = {"name": "API_KEY", "value_file": name}
    key = place.session()
    asked = place.store.requests.add(RequestKind.SET_VARIABLE, key, cast(Any, payload))
    with caplog.at_level(logging.DEBUG):
        handlers(place, host).tick()
        assert wait_for(lambda: is_over(place, asked.request_id), deadline_s=10)
    found = place.store.requests.require(asked.request_id)
    assert (found.state, found.error_exit) == (RequestState.FAILED, 1)
    assert "request failed" in caplog.text
    assert SECRET not in caplog.text + str(found)

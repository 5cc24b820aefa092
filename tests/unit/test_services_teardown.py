from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from core.errors import ConflictError
from core.models.execution import Json
from core.models.release import Resource
from core.models.request import RequestKind, RequestState
from core.models.session import SessionKey
from tests.unit.services_place import Place, make_place

BUCKET = Resource(kind="s3_bucket", resource_id="tmux-b", tags={"Project": "tmux-builder"})
EDGE = Resource(kind="cloudfront_distribution", resource_id="E1")
PROFILE = Resource(kind="frontdoor_profile", resource_id="tmux-shared", tags={"Scope": "shared"})


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return make_place(tmp_path)


def with_site(place: Place) -> SessionKey:
    key = place.session()
    (place.source(key) / "index.html").write_text("<h1>hello</h1>")
    return key


def planned(place: Place, key: SessionKey) -> list[tuple[str, str]]:
    rows: Any = place.services.deploys.destroy_plan(key)["plan"]
    return [(row["action"], row["id"]) for row in rows]


def test_the_plan_names_what_is_recorded_and_changes_nothing(place: Place) -> None:
    key = with_site(place)
    assert planned(place, key) == []
    place.store.sessions.add_resource(key, EDGE)
    place.store.sessions.add_resource(key, BUCKET)
    assert planned(place, key) == [("delete", "E1"), ("delete", "tmux-b")]
    rows: Any = place.services.deploys.destroy_plan(key)["plan"]
    assert rows[1]["tags"] == {"Project": "tmux-builder"}
    assert place.worker.starts == 0
    assert place.store.requests.queued() == []


def test_a_shared_resource_is_kept_while_another_session_uses_it(place: Place) -> None:
    first, second = with_site(place), with_site(place)
    for key in (first, second):
        place.store.sessions.add_resource(key, PROFILE)
    assert planned(place, first) == [("keep", "tmux-shared")]
    place.store.sessions.set_destroyed(second)
    assert planned(place, first) == [("delete", "tmux-shared")]


def test_a_site_s_own_resource_goes_even_if_another_has_the_same_id(place: Place) -> None:
    first, second = with_site(place), with_site(place)
    for key in (first, second):
        place.store.sessions.add_resource(key, BUCKET)
    assert planned(place, first) == [("delete", "tmux-b")]


def test_each_resource_that_goes_is_told(place: Place) -> None:
    key = with_site(place)
    for resource in (EDGE, BUCKET):
        place.store.sessions.add_resource(key, resource)
    told: list[int] = []

    def work() -> None:
        for request in place.store.requests.queued():
            place.store.requests.take(request.request_id)

    def on_left(left: Any) -> None:
        told.append(len(left))
        if left:
            place.store.sessions.forget_resource(key, left[0].kind, left[0].resource_id)
            return
        (request,) = unfinished(place, key)
        place.store.requests.finish(request, {"deleted": [], "left": []})

    place.worker.on_wake = work
    place.services.deploys.destroy(key, key.session_id, 20, on_left)
    assert told == [2, 1, 0]


def test_a_second_destroy_follows_the_first(place: Place) -> None:
    key = with_site(place)
    going_on = place.store.requests.add(RequestKind.DESTROY, key)
    place.store.requests.take(going_on.request_id)
    deleted: Json = [{"kind": "s3_bucket", "id": "tmux-b"}]
    place.worker.on_wake = lambda: place.store.requests.finish(
        going_on.request_id, {"deleted": deleted, "left": []}
    )
    answer = place.services.deploys.destroy(key, key.session_id, 20)
    assert answer["deleted"] == deleted
    assert len(place.store.database.rows("SELECT kind FROM requests")) == 1


def test_nothing_is_published_while_it_is_being_deleted(place: Place) -> None:
    key = with_site(place)
    destroy = place.store.requests.add(RequestKind.DESTROY, key).request_id
    with pytest.raises(ConflictError, match="being destroyed"):
        place.services.deploys.start(key)
    assert place.store.executions.of_session(key) == []
    place.store.requests.finish(destroy, {})
    assert place.store.requests.require(destroy).state is RequestState.DONE
    assert place.services.deploys.start(key).run == 1


def unfinished(place: Place, key: SessionKey) -> list[str]:
    found = place.store.requests.unfinished(RequestKind.DESTROY, key)
    return [] if found is None else [found.request_id]

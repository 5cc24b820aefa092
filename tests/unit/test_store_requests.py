from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import BuilderError
from core.models.request import RequestKind, RequestState
from core.models.session import SessionKey
from tests.unit.services_place import Place, make_place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return make_place(tmp_path)


@pytest.fixture
def key(place: Place) -> SessionKey:
    return place.session()


def state_of(place: Place, request_id: str) -> RequestState:
    return place.store.requests.require(request_id).state


def test_a_destroy_that_a_worker_died_in_is_begun_again_once(place: Place, key: SessionKey) -> None:
    requests = place.store.requests
    destroy = requests.add(RequestKind.DESTROY, key).request_id
    requests.take(destroy)
    assert requests.queue_again() == 1
    assert state_of(place, destroy) is RequestState.QUEUED
    requests.take(destroy)
    assert requests.queue_again() == 0
    assert requests.fail_taken("It ended.", "Again.") == 1
    assert state_of(place, destroy) is RequestState.FAILED


@pytest.mark.parametrize("kind", [RequestKind.CHECK, RequestKind.SET_VARIABLE])
def test_what_cannot_be_begun_again_is_answered(
    place: Place, key: SessionKey, kind: RequestKind
) -> None:
    request = place.store.requests.add(kind, key).request_id
    place.store.requests.take(request)
    assert place.store.requests.queue_again() == 0
    assert place.store.requests.fail_taken("It ended.", "Again.") == 1


def test_an_unfinished_request_of_a_kind_is_found_until_it_is_over(
    place: Place, key: SessionKey
) -> None:
    requests = place.store.requests
    assert requests.unfinished(RequestKind.DESTROY, key) is None
    destroy = requests.add(RequestKind.DESTROY, key)
    requests.add(RequestKind.CHECK, key)
    assert requests.unfinished(RequestKind.DESTROY, key) == destroy
    requests.take(destroy.request_id)
    assert requests.unfinished(RequestKind.DESTROY, key) is not None
    requests.fail(destroy.request_id, BuilderError("No.", remedy="Again."))
    assert requests.unfinished(RequestKind.DESTROY, key) is None


def test_an_answer_for_one_reader_does_not_stay(place: Place, key: SessionKey) -> None:
    request = place.store.requests.add(RequestKind.APP_LOG, key).request_id
    place.store.requests.finish(request, {"text": "a visitor's name"})
    place.store.requests.forget_result(request)
    assert place.store.requests.require(request).result is None
    assert state_of(place, request) is RequestState.DONE

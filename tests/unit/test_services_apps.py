from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import BuilderError, NotFoundError, TimedOutError, UsageError
from core.handover import Handover
from core.models.request import RequestKind
from core.models.session import SessionKey
from tests.unit.services_place import Place, make_place

SECRET = "sk-live-0123456789abcdef"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return make_place(tmp_path)


@pytest.fixture
def key(place: Place) -> SessionKey:
    """A dynamic session."""
    user = place.services.users.create("ana@acme.io", "+48600100200", start=False).user
    made = place.services.sessions.create(user.user_id, site_type="dynamic", start=False)
    return made.session.key


def secrets(place: Place) -> Path:
    return place.services.environment.runtime.secrets


def left_behind(place: Place) -> list[Path]:
    """Every file of the data root and of the runtime folder that holds the secret."""
    roots = (place.root.path, place.services.environment.runtime.path)
    files = [path for root in roots for path in root.rglob("*") if path.is_file()]
    return [path for path in files if SECRET.encode() in path.read_bytes()]


def test_the_worker_can_take_the_value_and_nothing_keeps_it(place: Place, key: SessionKey) -> None:
    taken: list[str] = []

    def work() -> None:
        for request in place.store.requests.queued():
            taken.append(Handover(secrets(place)).take(str(request.payload["value_file"])))
            place.store.requests.finish(request.request_id, {"name": "API_KEY"})

    place.worker.on_wake = work
    answer = place.services.apps.set_variable(key, "API_KEY", SECRET, 5)
    assert taken == [SECRET]
    assert answer == {"user_id": key.user_id, "session_id": key.session_id, "name": "API_KEY"}
    assert left_behind(place) == []


def test_a_worker_that_does_not_come_leaves_no_value_behind(place: Place, key: SessionKey) -> None:
    with pytest.raises(TimedOutError):
        place.services.apps.set_variable(key, "API_KEY", SECRET, 0.05)
    assert left_behind(place) == []
    (request,) = place.store.requests.queued()
    with pytest.raises(NotFoundError):
        Handover(secrets(place)).take(str(request.payload["value_file"]))


def test_a_refusal_of_the_worker_leaves_no_value_behind(place: Place, key: SessionKey) -> None:
    def work() -> None:
        for request in place.store.requests.queued():
            fault = UsageError("There are too many.", remedy="Unset one.", code="too_many")
            place.store.requests.fail(request.request_id, fault)

    place.worker.on_wake = work
    with pytest.raises(UsageError, match="too many"):
        place.services.apps.set_variable(key, "API_KEY", SECRET, 5)
    assert left_behind(place) == []


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("lower", SECRET, "invalid_variable"),
        ("PATH", SECRET, "reserved_variable"),
        ("API_KEY", "", "invalid_value"),
        ("API_KEY", f"{SECRET}\0", "invalid_value"),
        ("API_KEY", SECRET * 3000, "invalid_value"),
    ],
    ids=["name", "reserved", "empty", "nul", "long"],
)
def test_what_no_program_can_be_given_is_refused_before_anything_is_written(
    place: Place, key: SessionKey, name: str, value: str, code: str
) -> None:
    with pytest.raises(UsageError) as caught:
        place.services.apps.set_variable(key, name, value, 5)
    assert caught.value.code == code
    assert SECRET not in caught.value.message
    assert left_behind(place) == []
    assert place.worker.starts == 0


def test_a_static_site_has_no_program(place: Place) -> None:
    static, apps = place.session(), place.services.apps
    for act in (
        lambda: apps.variables(static),
        lambda: apps.set_variable(static, "A", SECRET),
        lambda: apps.unset_variable(static, "A"),
        lambda: apps.log(static, 5),
    ):
        with pytest.raises(UsageError, match="no program") as caught:
            act()
        assert caught.value.code == "no_program"
    assert place.store.requests.queued() == []


def test_a_session_that_is_not_there_is_not_found(place: Place, key: SessionKey) -> None:
    nobody = SessionKey(key.user_id, "sess_20200101_000000")
    with pytest.raises(NotFoundError):
        place.services.apps.variables(nobody)


def test_the_output_is_read_once_and_not_kept(place: Place, key: SessionKey) -> None:
    def work() -> None:
        for request in place.store.requests.queued():
            assert (request.kind, request.payload) == (RequestKind.APP_LOG, {"lines": 7})
            place.store.requests.finish(request.request_id, {"text": "hello\n"})

    place.worker.on_wake = work
    assert place.services.apps.log(key, 7) == "hello\n"
    rows = place.store.database.rows("SELECT result FROM requests")
    assert [row["result"] for row in rows] == [None]


def test_names_are_listed_and_unset_without_a_value(place: Place, key: SessionKey) -> None:
    def work() -> None:
        for request in place.store.requests.queued():
            assert "value_file" not in request.payload
            place.store.requests.finish(request.request_id, {"names": ["API_KEY"]})

    place.worker.on_wake = work
    assert place.services.apps.variables(key)["names"] == ["API_KEY"]
    assert place.services.apps.unset_variable(key, "API_KEY")["name"] == "API_KEY"


def test_every_refusal_says_what_to_do(place: Place, key: SessionKey) -> None:
    with pytest.raises(BuilderError) as caught:
        place.services.apps.check_name(key, "no name")
    assert caught.value.remedy

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.errors import AmbiguousNameError, NotFoundError, UsageError
from core.models.session import Session, SessionKey
from core.models.user import HostProvider, SiteType, make_user_id
from tests.unit.services_place import Place, make_place

NOW = datetime(2026, 1, 12, 14, 22, 33, tzinfo=UTC)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return make_place(tmp_path)


def user(place: Place, email: str, phone: str = "+48600100200") -> str:
    return place.services.users.create(email, phone, start=False).user.user_id


def session(place: Place, user_id: str, session_id: str) -> SessionKey:
    key = SessionKey(user_id, session_id)
    instant = datetime.strptime(session_id, "sess_%Y%m%d_%H%M%S").replace(tzinfo=UTC)
    place.store.sessions.add(
        Session(
            key=key, host_provider=HostProvider.LOCAL, site_type=SiteType.STATIC,
            created_at=instant, updated_at=instant,
        )
    )  # fmt: skip
    return key


def test_a_user_by_id_prefix_and_email_in_any_case(place: Place) -> None:
    ana = user(place, "ana@acme.io")
    names = place.services.names

    for name in (ana, ana.upper(), ana[:9], "ana@acme.io", " ANA@Acme.io "):
        assert names.user(name).user_id == ana


def test_one_email_with_two_phones_is_ambiguous_and_lists_both(place: Place) -> None:
    ids = {user(place, "ana@acme.io"), user(place, "ana@acme.io", "+48600100201")}

    with pytest.raises(AmbiguousNameError) as caught:
        place.services.names.user("ana@acme.io")

    assert caught.value.exit_code == 2
    assert all(user_id in caught.value.message for user_id in ids)


def test_a_wrong_name_says_the_nearest_one(place: Place) -> None:
    ana = user(place, "ana@acme.io")
    session(place, ana, "sess_20260112_142233")
    names = place.services.names

    with pytest.raises(NotFoundError, match="anna@acme") as caught:
        names.user("anna@acme.io")
    assert caught.value.remedy == "Did you mean ana@acme.io?"
    assert caught.value.exit_code == 3
    with pytest.raises(NotFoundError) as caught:
        names.session("sess_20260112_142234", Path("/"))
    assert "sess_20260112_142233" in caught.value.remedy
    with pytest.raises(NotFoundError) as caught:
        names.execution(f"{ana}_sess_20260112_142233_r9")
    assert caught.value.exit_code == 3


def test_every_form_of_a_session_finds_it(place: Place) -> None:
    ana = user(place, "ana@acme.io")
    old = session(place, ana, "sess_20260111_000000")
    new = session(place, ana, "sess_20260112_142233")
    names = place.services.names

    forms = {
        "sess_20260112_142233": new, "sess_20260112": new, "20260112_142233": new,
        "ana@acme.io": new, "ANA@acme.io/sess_20260111": old, f"{ana}/sess_20260111": old,
        f"{ana[:8]}/20260111": old,
    }  # fmt: skip
    for name, key in forms.items():
        assert names.session(name, Path("/")).key == key, name


def test_a_prefix_of_two_sessions_is_ambiguous(place: Place) -> None:
    ana = user(place, "ana@acme.io")
    for second in range(7):
        session(place, ana, f"sess_20260112_14220{second}")

    with pytest.raises(AmbiguousNameError) as caught:
        place.services.names.session("sess_2026", Path("/"))

    assert caught.value.message.count("ana@acme.io/sess_") == 5


def test_the_same_second_of_two_users_is_told_apart_by_the_listed_names(place: Place) -> None:
    owners = [user(place, "ana@acme.io"), user(place, "bob@acme.io")]
    keys = {session(place, owner, "sess_20260112_142233") for owner in owners}
    names = place.services.names

    with pytest.raises(AmbiguousNameError) as caught:
        names.session("sess_20260112_142233", Path("/"))

    listed = [line.strip() for line in caught.value.message.splitlines()[1:]]
    assert {names.session(name, Path("/")).key for name in listed} == keys


def test_inside_a_sessions_folder_no_name_is_needed(place: Place) -> None:
    key = place.session()
    names = place.services.names

    assert names.session(None, place.source(key)).key == key
    assert names.session(".", place.source(key)).key == key
    with pytest.raises(UsageError):
        names.session(None, place.root.path)
    with pytest.raises(NotFoundError):
        names.session(".", place.root.path)


def test_dash_is_the_last_one_used(place: Place) -> None:
    names = place.services.names
    with pytest.raises(NotFoundError):
        names.session("-", Path("/"))

    key = place.session()
    names.remember(key)
    assert names.session("-", Path("/")).key == key
    place.root.last_session.write_text("../../etc/passwd\n")
    with pytest.raises(NotFoundError):
        names.session("-", Path("/"))


@pytest.mark.parametrize(
    "name", ["", "  ", "*", "%", "_", "sess", "../..", "a/b/c", "/", "x\x00y", "sess_%", "ż" * 500]
)
def test_odd_text_is_an_unknown_name_and_nothing_else(place: Place, name: str) -> None:
    place.session()

    with pytest.raises((NotFoundError, UsageError)):
        place.services.names.session(name, Path("/"))
    with pytest.raises(NotFoundError):
        place.services.names.user(name or "nobody")


def test_an_execution_id_is_never_taken_for_a_session(place: Place) -> None:
    key = place.session()
    execution = place.store.executions.add(key)
    names = place.services.names

    assert names.execution(execution.execution_id) == execution
    assert names.execution(key.session_id) is None
    assert names.execution(make_user_id("a@b.co", "+48600100200")) is None
    with pytest.raises(NotFoundError):
        names.session(execution.execution_id, Path("/"))

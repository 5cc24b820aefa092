"""Names and tags of the clouds: no two sessions share a name, no tag is missing."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.cloud.config import LIMITS, CloudConfig, NamedKind
from core.errors import UsageError
from core.models.session import SessionKey
from core.models.user import SiteType

NOW = datetime(2026, 1, 12, 14, 22, 33, tzinfo=UTC)
OF_A_SESSION = {"UserGUID", "SessionID", "ExecutionID", "SiteType"}
EVERYWHERE = {
    "Project", "Environment", "CreatedAt", "CreatedBy", "CostCenter", "InstallationID",
}  # fmt: skip

instants = st.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2099, 12, 31))  # noqa: DTZ001
keys = st.builds(
    lambda user, instant: SessionKey(str(user), instant.strftime("sess_%Y%m%d_%H%M%S")),
    st.uuids(),
    instants,
)
suffixes = st.none() | st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=12)
kinds = st.sampled_from(NamedKind)


def config(key: SessionKey, suffix: str | None = None, installation: str = "i1") -> CloudConfig:
    return CloudConfig(
        key=key, site_type=SiteType.STATIC, installation_id=installation, suffix=suffix
    )


@given(key=keys, other=keys, suffix=suffixes, other_suffix=suffixes)
def test_no_two_sessions_share_a_name_of_any_kind(
    key: SessionKey, other: SessionKey, suffix: str | None, other_suffix: str | None
) -> None:
    if key != other:
        for kind in NamedKind:
            assert config(key, suffix).name(kind) != config(other, other_suffix).name(kind)


@given(user=st.uuids(), day=st.dates(), one=st.times(), two=st.times())
def test_two_sessions_of_one_day_have_names_of_their_own(
    user: uuid.UUID, day: object, one: object, two: object
) -> None:
    stamps = [f"sess_{day:%Y%m%d}_{time:%H%M%S}" for time in (one, two)]
    if stamps[0] != stamps[1]:
        pair = [config(SessionKey(str(user), stamp)) for stamp in stamps]
        for kind in NamedKind:
            assert pair[0].name(kind) != pair[1].name(kind)


@given(key=keys, suffix=suffixes, kind=kinds)
def test_every_name_keeps_its_limit_and_its_characters(
    key: SessionKey, suffix: str | None, kind: NamedKind
) -> None:
    name = config(key, suffix).name(kind)
    assert 3 <= len(name) <= LIMITS[kind]
    if kind is NamedKind.AZURE_STORAGE:
        assert re.fullmatch(r"tmux[a-z0-9]{20}", name)
    else:
        assert re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name)
        assert len(name) <= 64


@given(key=keys, suffix=suffixes, kind=kinds)
def test_a_name_is_readable_and_ends_with_a_piece_of_the_hash(
    key: SessionKey, suffix: str | None, kind: NamedKind
) -> None:
    name = config(key, suffix).name(kind)
    assert name.startswith("tmux")
    assert key.user_id[:8] in name
    if kind is not NamedKind.AZURE_STORAGE:
        assert re.search(r"-[a-z2-7]{10}$", name)
        assert key.session_id.removeprefix("sess_").replace("_", "") in name


@given(key=keys, suffix=suffixes, kind=kinds)
def test_names_are_the_same_each_time_and_a_suffix_makes_another_one(
    key: SessionKey, suffix: str | None, kind: NamedKind
) -> None:
    assert config(key, suffix).name(kind) == config(key, suffix, "i2").name(kind)
    if suffix is not None:
        assert config(key, suffix).name(kind) != config(key).name(kind)


@pytest.mark.parametrize("suffix", ["", "Ab", "a-b", "a.b", "ä", "a" * 13, "a\n"])
def test_a_suffix_that_no_name_can_carry_is_refused(suffix: str) -> None:
    with pytest.raises(UsageError, match="cannot be part of a name"):
        config(SessionKey(str(uuid.uuid4()), "sess_20260112_142233"), suffix)


@given(key=keys, suffix=suffixes)
def test_every_tag_is_there_and_both_clouds_take_it(key: SessionKey, suffix: str | None) -> None:
    execution_id = f"{key.user_id}_{key.session_id}_r12"
    tags = config(key, suffix).tags(execution_id=execution_id, created_at=NOW)
    assert set(tags) == EVERYWHERE | OF_A_SESSION
    assert tags["UserGUID"] == key.user_id
    assert tags["SessionID"] == key.session_id
    assert tags["ExecutionID"] == execution_id
    assert tags["SiteType"] == "static"
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]{1,128}", text) for text in tags.values())


@given(key=keys)
def test_a_shared_resource_names_no_session(key: SessionKey) -> None:
    tags = config(key).shared_tags(created_at=NOW)
    assert set(tags) == EVERYWHERE | {"Scope"}
    assert tags["Scope"] == "shared"
    assert key.user_id not in tags.values()


@given(key=keys, other=keys)
def test_only_the_session_of_the_same_installation_owns_a_resource(
    key: SessionKey, other: SessionKey
) -> None:
    tags = config(key).tags(execution_id="run", created_at=NOW)
    assert config(key).owns(tags)
    assert config(key, "x1").owns(tags)
    assert not config(key, installation="i2").owns(tags)
    assert not config(key).owns({**tags, "UserGUID": "somebody"})
    if key != other:
        assert not config(other).owns(tags)


@given(key=keys)
def test_nobody_owns_what_has_no_tags_or_is_shared(key: SessionKey) -> None:
    one = config(key)
    assert not one.owns({})
    assert not one.owns(one.shared_tags(created_at=NOW))
    assert one.owns_shared(one.shared_tags(created_at=NOW))
    assert not config(key, installation="i2").owns_shared(one.shared_tags(created_at=NOW))


def test_an_empty_tag_value_is_refused() -> None:
    one = config(SessionKey(str(uuid.uuid4()), "sess_20260112_142233"))
    with pytest.raises(ValueError, match="ExecutionID"):
        one.tags(execution_id="", created_at=NOW)
    with pytest.raises(ValueError, match="ExecutionID"):
        one.tags(execution_id="ana@acme.io", created_at=NOW)


@given(installation=st.uuids(), purpose=st.sampled_from(["frontdoor", "frontdoor-2"]), kind=kinds)
def test_a_shared_name_belongs_to_its_installation(
    installation: uuid.UUID, purpose: str, kind: NamedKind
) -> None:
    key = SessionKey(str(uuid.uuid4()), "sess_20260112_142233")
    name = config(key, installation=installation.hex).shared_name(purpose, kind)
    assert len(name) <= LIMITS[kind]
    assert name != config(key, installation="other").shared_name(purpose, kind)
    assert name != config(key, installation=installation.hex).shared_name("else", kind)

"""What the worker answers for a host, with a host that only remembers what it was asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from core.errors import (
    CloudRefusedError,
    ConflictError,
    NotFoundError,
    NothingToDeployError,
    UsageError,
)
from core.handover import Handover
from core.models.execution import Json
from core.models.release import Destroyed, Drift, Plan, Published, Resource
from core.models.request import Request, RequestKind
from core.models.session import Session, SessionKey
from core.models.user import HostProvider, SiteType
from core.ports.host import Host, PublishRequest
from tests.unit.services_place import Place, make_place
from tmux_bridge.host_requests import HostRequests

SECRET = "sk-live-0123456789abcdef"
BUCKET = Resource(kind="s3_bucket", resource_id="tmux-1")
DELETED = Destroyed(deleted=(BUCKET,))


@dataclass
class PlainHost:
    """A host without a program."""

    host_provider: HostProvider = HostProvider.AWS
    site_type: SiteType = SiteType.STATIC
    drifted: tuple[Drift, ...] = ()
    destroyed: Destroyed = DELETED
    asked: list[tuple[str, ...]] = field(default_factory=list)

    def plan(self, request: PublishRequest) -> Plan:
        raise NotImplementedError

    def prepare(self, session: Session) -> None: ...

    def publish(self, request: PublishRequest) -> Published:
        raise NotImplementedError

    def serving(self, session: Session) -> str | None:
        raise NotImplementedError

    def ensure_served(self, session: Session) -> str | None:
        raise NotImplementedError

    def drift(self, session: Session) -> tuple[Drift, ...]:
        return self.drifted

    def destroy(self, key: SessionKey) -> Destroyed:
        self.asked.append(("destroy",))
        return self.destroyed


@dataclass
class ProgramHost(PlainHost):
    """One with a program; `fails` is raised instead of setting."""

    fails: Exception | None = None

    def app_log(self, session: Session, *, lines: int) -> str:
        self.asked.append(("log", str(lines)))
        return "hello"

    def variables(self, session: Session) -> tuple[str, ...]:
        return ("B", "A")

    def set_variable(self, session: Session, name: str, value: str) -> None:
        if self.fails is not None:
            raise self.fails
        self.asked.append(("set", name, value))

    def unset_variable(self, session: Session, name: str) -> None:
        self.asked.append(("unset", name))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return make_place(tmp_path)


@pytest.fixture
def key(place: Place) -> SessionKey:
    return place.session()


def asking(place: Place, host: Host) -> HostRequests:
    handover = Handover(place.services.environment.runtime.secrets)
    return HostRequests(place.store, place.views, lambda _session: host, handover)


def request(
    place: Place, key: SessionKey, kind: RequestKind, **payload: Json
) -> tuple[Request, Session]:
    session = place.store.sessions.get(key)
    assert session is not None
    return place.store.requests.add(kind, key, payload), session


def setting(place: Place, key: SessionKey, value: str = SECRET) -> tuple[Request, Session]:
    name = Handover(place.services.environment.runtime.secrets).leave(value)
    return request(place, key, RequestKind.SET_VARIABLE, name="API_KEY", value_file=name)


def test_the_value_reaches_the_host_and_no_row(place: Place, key: SessionKey) -> None:
    host = ProgramHost()
    asked, session = setting(place, key)
    assert asking(place, host).set_variable(asked, session) == {"name": "API_KEY"}
    assert host.asked == [("set", "API_KEY", SECRET)]
    rows = place.store.database.rows("SELECT * FROM requests")
    assert SECRET not in str([tuple(row) for row in rows])


@pytest.mark.parametrize("spelled", [SECRET, f"Value '{SECRET}' at 'value'", SECRET[:15]])
def test_a_cloud_that_repeats_the_value_is_cut_short(
    place: Place, key: SessionKey, spelled: str
) -> None:
    refused = CloudRefusedError(f"AWS refused: {spelled} is bad.", remedy=f"Not {spelled}.")
    asked, session = setting(place, key)
    with pytest.raises(CloudRefusedError) as caught:
        asking(place, ProgramHost(fails=refused)).set_variable(asked, session)
    assert SECRET[:12] not in f"{caught.value.message} {caught.value.remedy}"
    assert caught.value.message.startswith("AWS refused: ")
    assert caught.value.remedy


def test_a_sentence_without_the_value_stays_whole(place: Place, key: SessionKey) -> None:
    refused = CloudRefusedError("AWS refused: too many.", remedy="Remove one.", code="quota")
    asked, session = setting(place, key)
    with pytest.raises(CloudRefusedError) as caught:
        asking(place, ProgramHost(fails=refused)).set_variable(asked, session)
    assert caught.value is refused


def test_a_value_that_was_withdrawn_is_asked_for_again(place: Place, key: SessionKey) -> None:
    host = ProgramHost()
    asked, session = setting(place, key)
    requests = asking(place, host)
    requests.set_variable(asked, session)
    with pytest.raises(NotFoundError):
        requests.set_variable(asked, session)
    assert len(host.asked) == 1


@pytest.mark.parametrize("name", ["lower", "PORT", "A=B", "../X", ""])
def test_a_name_that_cannot_be_one_reaches_no_host(
    place: Place, key: SessionKey, name: str
) -> None:
    host = ProgramHost()
    asked, session = request(place, key, RequestKind.UNSET_VARIABLE, name=name)
    with pytest.raises(UsageError):
        asking(place, host).unset_variable(asked, session)
    assert host.asked == []


@pytest.mark.parametrize(
    "act",
    [HostRequests.app_log, HostRequests.variables],
    ids=["log", "variables"],
)
def test_a_host_without_a_program_says_so(
    place: Place, key: SessionKey, act: Callable[[HostRequests, Request, Session], object]
) -> None:
    with pytest.raises(UsageError) as caught:
        act(asking(place, PlainHost()), *request(place, key, RequestKind.APP_LOG))
    assert caught.value.code == "no_program"


def test_names_are_sorted_and_lines_are_bounded(place: Place, key: SessionKey) -> None:
    host = ProgramHost()
    requests = asking(place, host)
    assert requests.variables(*request(place, key, RequestKind.VARIABLES)) == {"names": ["A", "B"]}
    for lines, asked in ((5, "5"), (0, "1"), (10**9, "10000")):
        answer = requests.app_log(*request(place, key, RequestKind.APP_LOG, lines=lines))
        assert answer == {"text": "hello"}
        assert host.asked[-1] == ("log", asked)


def test_drift_is_told_with_every_key(place: Place, key: SessionKey) -> None:
    one = Drift(kind="s3_bucket", resource_id="b", what="policy", expected="private", found="open")
    place.deploy(key)
    answer = asking(place, PlainHost(drifted=(one,))).drift(*request(place, key, RequestKind.DRIFT))
    assert answer == {
        "drift": [
            {
                "kind": "s3_bucket", "id": "b", "what": "policy", "expected": "private",
                "found": "open",
            }
        ]
    }  # fmt: skip


def test_after_a_drift_the_record_is_not_believed_any_more(place: Place, key: SessionKey) -> None:
    one = Drift(kind="s3_bucket", resource_id="b", what="policy", expected="private", found="open")
    place.deploy(key)
    block: dict[str, Json] = {"bucket": "b", "configuration": "0a1b"}
    place.store.sessions.set_deployed(
        key, url="https://example.org", at=place.store.clock.now(), count=1, block=block,
        resources=[],
    )  # fmt: skip
    asking(place, PlainHost(drifted=(one,))).drift(*request(place, key, RequestKind.DRIFT))
    assert place.store.sessions.provider_block(key) == {"bucket": "b", "configuration": "drifted"}


def test_without_anything_on_the_host_nothing_can_drift(place: Place, key: SessionKey) -> None:
    requests = asking(place, PlainHost())
    with pytest.raises(NothingToDeployError):
        requests.drift(*request(place, key, RequestKind.DRIFT))
    place.store.sessions.add_resource(key, BUCKET)
    assert requests.drift(*request(place, key, RequestKind.DRIFT)) == {"drift": []}


def test_what_is_left_keeps_the_session_s_account_and_names(place: Place, key: SessionKey) -> None:
    place.store.sessions.pin_account(key, "123456789012")
    host = PlainHost(destroyed=Destroyed(deleted=(), left=((BUCKET, "not empty"),)))
    requests = asking(place, host)
    answer = requests.destroy(*request(place, key, RequestKind.DESTROY))
    assert answer["left"] == [{"kind": "s3_bucket", "id": "tmux-1", "reason": "not empty"}]
    assert account(place, key) == "123456789012"
    host.destroyed = Destroyed(deleted=(BUCKET,))
    requests.destroy(*request(place, key, RequestKind.DESTROY))
    assert account(place, key) is None


def test_nothing_is_deleted_while_a_run_publishes(place: Place, key: SessionKey) -> None:
    host = PlainHost()
    place.store.executions.add(key, from_step=4)
    with pytest.raises(ConflictError):
        asking(place, host).destroy(*request(place, key, RequestKind.DESTROY))
    assert host.asked == []


def account(place: Place, key: SessionKey) -> str | None:
    session = place.store.sessions.get(key)
    assert session is not None
    return session.account_id

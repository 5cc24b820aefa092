"""The stand-in for Azure refuses what the real one refuses, so that a broken deploy fails here."""

from __future__ import annotations

import ssl
import urllib.request
from collections.abc import Callable
from typing import Any
from urllib.error import HTTPError

import pytest
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobServiceClient

from core.cloud.azure import AzureSubscription
from core.hosts.azure.bodies import (
    Origin,
    account_body,
    endpoint_body,
    origin_body,
    origin_group_body,
    profile_body,
    route_body,
    website_body,
)
from tests.cloud.azure.arm_service import SUBSCRIPTION_ID
from tests.cloud.azure.arm_state import POLLS
from tests.cloud.azure.tokens import make_token
from tests.cloud.azure.world import AzureWorld

SHARED = {
    "Project": "tmux-builder", "Environment": "production", "CreatedAt": "20260112T142233Z",
    "CreatedBy": "tmux-builder-automation", "CostCenter": "user-sites", "InstallationID": "i",
    "Scope": "shared",
}  # fmt: skip
OWN = {
    **{name: value for name, value in SHARED.items() if name != "Scope"},
    "UserGUID": "u", "SessionID": "s", "ExecutionID": "e", "SiteType": "static",
}  # fmt: skip
GROUP, ACCOUNT, PROFILE, ENDPOINT = "tmux-group", "tmuxaccount", "tmux-profile", "tmux-endpoint"


class Plane:
    """The real SDKs on the stand-in, with everything that a refusal needs there already."""

    def __init__(self, world: AzureWorld) -> None:
        self.world = world
        self._subscription = AzureSubscription("sunwaretech", world.cloud, world.clock)

    def client(self, service: str) -> Any:
        return self._subscription.client(service)

    def group(self) -> None:
        groups = self.client("resources").resource_groups
        groups.create_or_update(GROUP, {"location": "eastus", "tags": OWN})

    def account(self, **changes: Any) -> Any:
        self.group()
        body = {**account_body("eastus"), "tags": OWN, **changes}
        return self.client("storage").storage_accounts.begin_create(GROUP, ACCOUNT, body).result()

    def profile(self, **changes: Any) -> Any:
        self.group()
        body = {**profile_body(), "tags": SHARED, **changes}
        return self.client("cdn").profiles.begin_create(GROUP, PROFILE, body).result()

    def endpoint(self, name: str = ENDPOINT) -> Any:
        body = {**endpoint_body(), "tags": OWN}
        return self.client("cdn").afd_endpoints.begin_create(GROUP, PROFILE, name, body).result()

    def origin_group(self) -> Any:
        calls = self.client("cdn").afd_origin_groups
        body = origin_group_body(Origin(host="a.example"))
        return calls.begin_create(GROUP, PROFILE, "origins", body).result()

    def origin(self, host: str = "a.example") -> Any:
        calls = self.client("cdn").afd_origins
        body = origin_body(Origin(host=host))
        return calls.begin_create(GROUP, PROFILE, "origins", "site", body).result()

    def blobs(self, endpoint: str) -> Any:
        service = BlobServiceClient(
            endpoint, credential=self._subscription.credential(), retry_total=0,
            connection_verify=str(self.world.certificates.authority),
        )  # fmt: skip
        return service.get_container_client("$web")


@pytest.fixture
def plane(azure_place: AzureWorld) -> Plane:
    return Plane(azure_place)


def refusal(act: Callable[[], Any]) -> tuple[int, str]:
    """(HTTP status, Azure's code) of what an act is refused with."""
    with pytest.raises(HttpResponseError) as refused:
        act()
    error = refused.value.error
    return int(refused.value.status_code or 0), str(error.code if error else "")


def answered(world: AzureWorld, target: str, headers: dict[str, str]) -> int:
    request = urllib.request.Request(world.arm.url + target, headers=headers)
    context: ssl.SSLContext = world.certificates.client_context()
    try:
        with urllib.request.urlopen(request, context=context, timeout=10) as answer:
            return int(answer.status)
    except HTTPError as error:
        return error.code


def test_every_call_needs_a_token_for_this_plane(azure_place: AzureWorld) -> None:
    target = f"/subscriptions/{SUBSCRIPTION_ID}/resourcegroups?api-version=2025-04-01"
    assert answered(azure_place, target, {}) == 401
    other = {"Authorization": f"Bearer {make_token('https://storage.azure.com')}"}
    assert answered(azure_place, target, other) == 401
    own = {"Authorization": f"Bearer {make_token(azure_place.arm.url)}"}
    assert answered(azure_place, target, own) == 200


@pytest.mark.parametrize("query", ["", "?api-version=latest"])
def test_every_call_needs_an_api_version(azure_place: AzureWorld, query: str) -> None:
    own = {"Authorization": f"Bearer {make_token(azure_place.arm.url)}"}
    assert answered(azure_place, f"/subscriptions{query}", own) == 400


def test_a_parent_must_be_there(plane: Plane) -> None:
    assert refusal(plane.endpoint) == (404, "ResourceGroupNotFound")
    plane.group()
    assert refusal(plane.endpoint) == (404, "ParentResourceNotFound")


@pytest.mark.parametrize("location", [("minimumTlsVersoin", "TLS1_2"), ("creationTime", "x")])
def test_a_property_that_is_unknown_or_not_ours_to_set_is_refused(
    plane: Plane, location: tuple[str, str]
) -> None:
    properties = {**account_body("eastus")["properties"], location[0]: location[1]}
    refused = refusal(lambda: plane.account(properties=properties))
    assert refused == (400, "InvalidRequestContent")


def test_a_word_that_azure_does_not_know_is_refused(plane: Plane) -> None:
    refused = refusal(lambda: plane.account(sku={"name": "Standard_Cheap"}))
    assert refused == (400, "InvalidRequestContent")


def test_the_classic_cdn_takes_no_new_profiles(plane: Plane) -> None:
    refused = refusal(lambda: plane.profile(sku={"name": "Standard_Microsoft"}))
    assert refused == (400, "BadRequest")


@pytest.mark.parametrize(
    "tags", [{}, {**OWN, "CostCenter": None}, {**SHARED, "SessionID": "s"}, {"Scope": "shared"}]
)
def test_tags_that_are_missing_or_say_too_much_are_refused(
    plane: Plane, tags: dict[str, Any]
) -> None:
    given = {name: value for name, value in tags.items() if value is not None}
    assert refusal(lambda: plane.profile(tags=given)) == (403, "RequestDisallowedByPolicy")


def test_an_account_that_keys_open_is_refused(plane: Plane) -> None:
    properties = {**account_body("eastus")["properties"], "allowSharedKeyAccess": True}
    refused = refusal(lambda: plane.account(properties=properties))
    assert refused == (403, "RequestDisallowedByPolicy")


def test_keys_are_not_given_out(plane: Plane) -> None:
    plane.account()
    accounts = plane.client("storage").storage_accounts
    refused = refusal(lambda: accounts.list_keys(GROUP, ACCOUNT))
    assert refused == (403, "KeyBasedAuthenticationNotPermitted")


def test_a_name_is_taken_in_the_whole_world(azure_place: AzureWorld, plane: Plane) -> None:
    azure_place.state.taken_names.add(ACCOUNT)
    assert refusal(plane.account) == (409, "StorageAccountAlreadyTaken")


@pytest.mark.parametrize("name", ["a" * 47, "under_score", "-first"])
def test_names_have_rules(plane: Plane, name: str) -> None:
    plane.profile()
    assert refusal(lambda: plane.endpoint(name)) == (400, "InvalidResourceName")


def test_a_profile_has_room_for_ten_endpoints(plane: Plane) -> None:
    plane.profile()
    for number in range(10):
        plane.endpoint(f"endpoint{number}")
    assert refusal(plane.endpoint) == (409, "QuotaExceeded")


def test_an_origin_is_a_host_name_without_port_or_scheme(plane: Plane) -> None:
    plane.profile()
    plane.origin_group()
    assert refusal(lambda: plane.origin("https://a.example")) == (400, "BadRequest")
    assert refusal(lambda: plane.origin("127.0.0.1:443")) == (400, "BadRequest")


def test_a_route_needs_an_origin_and_holds_it(plane: Plane) -> None:
    profile, cdn = plane.profile(), plane.client("cdn")
    plane.endpoint()
    plane.origin_group()
    cdn.rule_sets.begin_create(GROUP, PROFILE, "rules").result()
    body = route_body(profile.id, "origins", "rules", Origin(host="a.example"), caches=True)
    place = (GROUP, PROFILE, ENDPOINT, "route")
    assert refusal(lambda: cdn.routes.begin_create(*place, body).result())[0] == 400
    plane.origin()
    cdn.routes.begin_create(*place, body).result()
    held = refusal(lambda: cdn.afd_origin_groups.begin_delete(GROUP, PROFILE, "origins").result())
    assert held == (409, "ResourceInUse")


def test_a_put_that_would_change_tags_is_refused(plane: Plane) -> None:
    plane.profile()
    other = {**SHARED, "CreatedAt": "20270112T142233Z"}
    assert refusal(lambda: plane.profile(tags=other)) == (400, "TagsWouldChange")


def test_nothing_long_is_done_before_it_was_asked_for_twice(
    azure_place: AzureWorld, plane: Plane
) -> None:
    plane.profile()
    azure_place.calls.begin()
    plane.endpoint()
    assert azure_place.calls.count("arm", "GET") >= POLLS + 1
    plane.account()
    azure_place.calls.begin()
    plane.client("resources").resource_groups.begin_delete(GROUP).result()
    assert azure_place.calls.count("arm", "GET") >= POLLS + 1
    assert azure_place.ids() == []


def test_what_is_being_made_takes_no_second_change(azure_place: AzureWorld, plane: Plane) -> None:
    plane.profile()
    calls, body = plane.client("cdn").afd_endpoints, {**endpoint_body(), "tags": OWN}
    calls.begin_create(GROUP, PROFILE, ENDPOINT, body, polling=False)
    begin = calls.begin_create
    refused = refusal(lambda: begin(GROUP, PROFILE, ENDPOINT, body, polling=False))
    assert refused == (409, "AnotherOperationInProgress")


def test_blobs_are_closed_until_a_role_opens_them(plane: Plane) -> None:
    account = plane.account()
    services = plane.client("storage").blob_services
    services.set_service_properties(GROUP, ACCOUNT, website_body())
    container = plane.blobs(account.primary_endpoints.blob)
    with container:
        refused = refusal(lambda: container.upload_blob("index.html", b"hello"))
    assert refused[0] == 403


def test_no_two_accounts_have_a_web_endpoint_that_can_be_guessed(
    azure_place: AzureWorld, plane: Plane
) -> None:
    first = plane.account().primary_endpoints.web
    plane.client("resources").resource_groups.begin_delete(GROUP).result()
    assert plane.account().primary_endpoints.web != first


@pytest.mark.parametrize("paths", [[], ["no-slash"], ["/a*b"], [f"/{n}" for n in range(101)]])
def test_a_purge_takes_up_to_a_hundred_url_paths(plane: Plane, paths: list[str]) -> None:
    plane.profile()
    plane.endpoint()
    calls = plane.client("cdn").afd_endpoints
    body = {"contentPaths": paths}
    begin = calls.begin_purge_content
    assert refusal(lambda: begin(GROUP, PROFILE, ENDPOINT, body).result())[0] == 400

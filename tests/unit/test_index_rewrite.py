"""The function at CloudFront's edge, run as it is: folders, files, redirects that stay here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest

from core.hosts.aws.edge_function import function_code
from tests.cloud.aws.edge_functions import EdgeFunctions, query_pairs, viewer_request

CODE = function_code().decode()
CODE_LIMIT_BYTES = 10_240


@pytest.fixture(scope="module")
def node() -> Iterator[EdgeFunctions]:
    functions = EdgeFunctions()
    yield functions
    functions.close()


@pytest.fixture(params=["rebuilt", "raw"])
def run(request: pytest.FixtureRequest, node: EdgeFunctions) -> Any:
    """Calls the function for a viewer's address, in runtimes with and without rawQueryString."""

    def call(address: str) -> dict[str, Any]:
        uri, _, query = address.partition("?")
        raw = query if request.param == "raw" else None
        said = node.run(CODE, viewer_request(uri, query), raw)
        assert "error" not in said, said
        output: dict[str, Any] = said["output"]
        return output

    return call


def location(output: dict[str, Any]) -> str:
    assert output["response"]["statusCode"] == 301
    return str(output["response"]["headers"]["location"]["value"])


@pytest.mark.parametrize(
    ("uri", "origin"),
    [("/", "/index.html"), ("/blog/", "/blog/index.html"), ("/v1.2/", "/v1.2/index.html")],
)
def test_a_folder_is_its_index_document_without_a_redirect(run: Any, uri: str, origin: str) -> None:
    assert run(uri)["request"]["uri"] == origin


@pytest.mark.parametrize(
    "uri",
    [
        "/x.css", "/blog/post.html", "/.well-known/acme-challenge/token", "/%2f/evil.com",
        "/.well-known/tmux-builder-release", "/a%20b.html", "/.htaccess",
    ],
)  # fmt: skip
def test_a_file_is_passed_on_unchanged(run: Any, uri: str) -> None:
    assert run(uri)["request"]["uri"] == uri


@pytest.mark.parametrize(
    ("uri", "target"),
    [("/blog", "/blog/"), ("/v1.2/docs", "/v1.2/docs/"), ("/a%20b", "/a%20b/")],
)
def test_a_page_without_its_slash_is_redirected_to_it(run: Any, uri: str, target: str) -> None:
    assert location(run(uri)) == target


@pytest.mark.parametrize(
    "uri",
    [
        "//evil.com/x", "/\\evil.com/x", "///evil.com/x", "/\\/evil.com/x", "//\\evil", "/\\",
        "/\t/evil.com/x", "/%5cevil.com/x", "/%2f%2fevil.com/x", "/.//evil", "//evil",
    ],
)  # fmt: skip
def test_no_address_leads_to_another_site(run: Any, uri: str) -> None:
    target = location(run(uri))
    assert target.startswith("/")
    assert not target.startswith(("//", "/\\"))
    resolved = urlsplit(urljoin("https://site.example/", target.replace("\\", "/")))
    assert resolved.netloc == "site.example"


@pytest.mark.parametrize(
    "query", ["a=1", "a=1&a=2", "a=1&a=2&a=3", "empty=", "q=a%20b%26c", "q=%C3%A9", "a=1&b=&a=2"]
)
def test_the_query_is_kept_with_repeated_keys_empty_values_and_encoding(
    run: Any, query: str
) -> None:
    target = location(run(f"/blog?{query}"))
    assert target.partition("?")[0] == "/blog/"
    assert sorted(query_pairs(target)) == sorted(query_pairs(f"?{query}"))
    for part in query.split("&"):
        assert part in target.partition("?")[2].split("&")


def test_a_redirect_is_not_remembered_for_ever(run: Any) -> None:
    assert run("/blog")["response"]["headers"]["cache-control"]["value"] == "no-cache"


def test_the_query_of_a_page_goes_on_with_it(run: Any) -> None:
    request = run("/blog/?a=1&a=2")["request"]
    assert request["querystring"]["a"]["multiValue"] == [{"value": "1"}, {"value": "2"}]


def test_the_code_is_small_enough_for_the_edge() -> None:
    assert len(function_code()) <= CODE_LIMIT_BYTES

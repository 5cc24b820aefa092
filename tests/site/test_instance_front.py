"""The agent's public port: HTTP/1.1 as visitors and CDNs speak it, and nothing looser."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from core.clock import wait_for
from tests.site.instance_kit import InstanceUnderTest, app_files, instance, text

RAW_APP = r"""
import os, socket, threading
listener = socket.create_server(("127.0.0.1", int(os.environ["PORT"])), backlog=64)
OK = b"HTTP/1.1 200 OK\r\n"
LEFT = os.path.join(os.environ["DATA_DIR"], "left")
def talk(connection):
    head = b""
    while b"\r\n\r\n" not in head:
        head += connection.recv(1)
    path = head.split()[1].decode()
    if path == "/head":
        body = head
        connection.sendall(OK + b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
    elif path == "/stream":
        connection.sendall(OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        threading.Event().wait(0.5)
        connection.sendall(b"6\r\nsecond\r\n0\r\n\r\n")
    elif path == "/to-the-end":
        connection.sendall(b"HTTP/1.0 200 OK\r\n\r\nno length")
    elif path == "/cut":
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this")
    elif path == "/nonsense":
        connection.sendall(b"SSH-2.0-OpenSSH\r\n\r\n")
    elif path == "/silent":
        while connection.recv(100):
            pass
        open(LEFT, "w").close()
    elif path == "/hints":
        connection.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
        connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
    elif path == "/socket":
        connection.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n"
        )
        while part := connection.recv(100):
            connection.sendall(part.upper())
    else:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    connection.close()
while True:
    threading.Thread(target=talk, args=listener.accept()[:1], daemon=True).start()
"""


POST = b"POST / HTTP/1.1\r\nHost: a\r\n"


@pytest.fixture(scope="module")
def plain() -> Iterator[str]:
    with instance() as one:
        one.deploy(app_files("one"))
        yield one.url


@pytest.fixture(scope="module")
def raw() -> Iterator[InstanceUnderTest]:
    with instance() as one:
        one.deploy({"Procfile": "web: exec python3 app.py\n", "app.py": RAW_APP})
        yield one


@pytest.fixture(scope="module")
def raw_url(raw: InstanceUnderTest) -> str:
    return raw.url


def connected(url: str) -> socket.socket:
    return socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=10)


def said(url: str, request: bytes) -> bytes:
    """Everything that is answered to these bytes, up to the end of the connection."""
    with connected(url) as connection:
        connection.sendall(request)
        answered = b""
        while part := connection.recv(65536):
            answered += part
        return answered


def test_one_connection_carries_many_requests(plain: str) -> None:
    visitor = http.client.HTTPConnection("127.0.0.1", int(plain.rpartition(":")[2]), timeout=10)
    used = set()
    for path in ("/", "/", "/.well-known/tmux-builder-release?x", "/"):
        visitor.request("GET", path)
        used.add(visitor.sock)
        assert visitor.getresponse().read()
    assert len(used) == 1
    visitor.close()


def test_uploads_arrive_whole_with_and_without_a_length(plain: str) -> None:
    content = b"a" * 3_000_000
    assert requests.post(plain, data=content, timeout=30).text == "3000000"
    assert requests.post(plain, data=iter([content, b"tail"]), timeout=30).text == "3000004"


def test_a_head_request_and_an_old_visitor_are_answered(plain: str) -> None:
    assert requests.head(plain, timeout=10).headers["content-length"] == "5"
    answered = said(plain, b"GET / HTTP/1.0\r\n\r\n")
    assert answered.startswith(b"HTTP/1.1 200")
    assert answered.endswith(b"\r\n\r\none")


def test_a_visitor_that_waits_for_100_continue_gets_it(plain: str) -> None:
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n"
    with connected(plain) as connection:
        connection.sendall(head + b"Connection: close\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
        connection.sendall(b"abc")
        rest = b""
        while part := connection.recv(4096):
            rest += part
    assert rest.startswith(b"HTTP/1.1 200 ")
    assert rest.endswith(b"\r\n\r\n3")


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/2.0\r\nHost: a\r\n\r\n",
        b"GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
        b"get / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n folded: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        POST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        POST + b"Content-Length: +1\r\n\r\na",
        POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 70_000 + b"\r\n\r\n",
    ],
)
def test_what_two_readers_could_understand_differently_is_refused(
    plain: str, request_bytes: bytes
) -> None:
    assert said(plain, request_bytes).startswith(b"HTTP/1.1 400 ")


def test_a_malformed_chunk_ends_the_connection_without_a_second_request(plain: str) -> None:
    head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    answered = said(plain, head + b"0x3\r\nabc\r\n0\r\n\r\nGET /second HTTP/1.1\r\nHost: a\r\n\r\n")
    assert b" 200 " not in answered


def test_the_program_learns_who_asked_and_under_which_name(raw_url: str) -> None:
    forwarded = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}
    head = requests.get(f"{raw_url}/head", headers=forwarded, timeout=10).text.lower()
    assert "x-forwarded-for: 203.0.113.9, 127.0.0.1\r\n" in head
    assert "x-forwarded-proto: https\r\n" in head
    assert f"x-forwarded-host: {raw_url.removeprefix('http://')}\r\n" in head
    assert head.count("connection:") == 1


def test_what_a_connection_header_names_is_not_handed_on(raw_url: str) -> None:
    named = {"Connection": "keep-alive, X-Secret", "X-Secret": "1", "Keep-Alive": "5", "TE": "x"}
    head = requests.get(f"{raw_url}/head", headers=named, timeout=10).text.lower()
    assert not [name for name in ("x-secret", "keep-alive", "\r\nte:") if name in head]


def test_an_answer_is_handed_on_as_it_arrives(raw_url: str) -> None:
    with requests.get(f"{raw_url}/stream", stream=True, timeout=10) as answer:
        assert list(answer.iter_content(None)) == [b"first", b"second"]


def test_an_answer_without_a_length_is_whole_and_keeps_the_connection(raw_url: str) -> None:
    with requests.Session() as visitor:
        answer = visitor.get(f"{raw_url}/to-the-end", timeout=10)
        assert (answer.text, answer.headers["transfer-encoding"]) == ("no length", "chunked")
        assert visitor.get(raw_url, timeout=10).text == "ok"


def test_an_answer_that_ends_early_is_seen_to_be_broken(raw_url: str) -> None:
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        requests.get(f"{raw_url}/cut", timeout=10)


def test_a_program_that_speaks_no_http_gives_a_502(raw_url: str) -> None:
    assert requests.get(f"{raw_url}/nonsense", timeout=10).status_code == 502


def test_early_hints_do_not_stand_for_the_answer(raw_url: str) -> None:
    assert requests.get(f"{raw_url}/hints", timeout=10).status_code == 204


def test_a_visitor_who_leaves_is_noticed_by_the_program(raw: InstanceUnderTest) -> None:
    with connected(raw.url) as connection:
        connection.sendall(b"GET /silent HTTP/1.1\r\nHost: a\r\n\r\n")
        connection.shutdown(socket.SHUT_WR)
    assert wait_for((raw.root / "data" / "left").exists, deadline_s=10)


def test_an_accepted_upgrade_becomes_a_tunnel(raw_url: str) -> None:
    with connected(raw_url) as connection:
        connection.sendall(
            b"GET /socket HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"
        )
        assert connection.recv(4096).startswith(b"HTTP/1.1 101 ")
        for word in (b"hello", b"again"):
            connection.sendall(word)
            assert connection.recv(100) == word.upper()


def test_without_a_release_the_port_says_so() -> None:
    with instance() as one:
        answer = requests.get(one.url, timeout=10)
        assert (answer.status_code, answer.headers["cache-control"]) == (503, "no-store")
        assert (
            requests.get(f"{one.url}/.well-known/tmux-builder-release", timeout=10).status_code
            == 404
        )


def test_a_hundred_visitors_at_once_are_answered(plain: str) -> None:
    gate = threading.Barrier(100)

    def visit(_number: int) -> str:
        gate.wait(20)
        return text(f"{plain}/slow")

    with ThreadPoolExecutor(100) as pool:
        assert set(pool.map(visit, range(100))) == {"one"}

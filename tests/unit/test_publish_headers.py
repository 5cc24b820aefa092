"""Headers by rule, and how a Procfile is read."""

from __future__ import annotations

import pytest

from core.models.release import MARKER_PATH
from core.publish.headers import (
    IMMUTABLE,
    REVALIDATE,
    cache_control,
    content_type,
    headers_digest,
    object_headers,
)
from core.publish.procfile import web_command


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("index.html", "text/html; charset=utf-8"),
        ("a/APP.JS", "text/javascript; charset=utf-8"),
        ("style.css", "text/css; charset=utf-8"),
        ("logo.svg", "image/svg+xml; charset=utf-8"),
        ("photo.webp", "image/webp"),
        ("font.woff2", "font/woff2"),
        ("LICENSE", "application/octet-stream"),
        ("html", "application/octet-stream"),
    ],
)
def test_the_media_type_follows_the_ending(path: str, expected: str) -> None:
    assert content_type(path) == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("app.3f9a1c2b.js", IMMUTABLE),
        ("img/logo-0123456789abcdef.png", IMMUTABLE),
        ("assets/index-BxT3k9Za.js", IMMUTABLE),
        ("index.html", REVALIDATE),
        ("page.3f9a1c2b.html", REVALIDATE),
        ("style.css", REVALIDATE),
        ("style.20260112.css", REVALIDATE),
        ("decade-feedface.css", REVALIDATE),
        ("photo-Holiday1.jpg", REVALIDATE),
    ],
)
def test_only_names_with_a_content_hash_are_kept_for_a_year(path: str, expected: str) -> None:
    assert cache_control(path) == expected


def test_an_object_always_says_its_type_and_how_long_it_is_kept() -> None:
    assert object_headers("a/style.css") == {
        "Content-Type": "text/css; charset=utf-8", "Cache-Control": REVALIDATE,
    }  # fmt: skip
    assert object_headers("app.3f9a1c2b.js")["Cache-Control"] == IMMUTABLE
    assert object_headers(MARKER_PATH)["Content-Type"] == "text/plain; charset=utf-8"


def test_the_digest_of_headers_is_another_where_the_headers_are() -> None:
    assert headers_digest("a.css") == headers_digest("b/c.css")
    assert len({headers_digest(path) for path in ("a.css", "a.js", "a.3f9a1c2b.css")}) == 3


@pytest.mark.parametrize(
    ("content", "command"),
    [
        (b"web: python app.py\n", "python app.py"),
        (b"release: x\r\nweb:node server.js --port $PORT\r\n", "node server.js --port $PORT"),
        (b"worker: x\n", None),
        (b"web:\nworker: x\n", None),
        (b"# web: x\n", None),
        (b"\xff\xfe", None),
        (b"web: a\0b\n", None),
    ],
)
def test_the_web_line_is_found(content: bytes, command: str | None) -> None:
    assert web_command(content) == command

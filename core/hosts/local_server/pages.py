"""The few pages that the server writes itself."""

from __future__ import annotations

from html import escape

from starlette.responses import HTMLResponse, PlainTextResponse, Response

_DOWN = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{name} does not answer</title>
</head>
<body>
<main>
<h1>{name} does not answer</h1>
<p>The program of this site ended and is being started again. What it said is in
<code>logs/app.log</code> of its session.</p>
</main>
</body>
</html>
"""
_NEVER_STORED = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


def down_page(name: str) -> Response:
    """502 with the name of the site whose program is not there."""
    return HTMLResponse(
        _DOWN.format(name=escape(name)),
        status_code=502,
        headers={**_NEVER_STORED, "retry-after": "1"},
    )


def marker(release_id: str) -> Response:
    return PlainTextResponse(release_id, headers=_NEVER_STORED)


def no_site() -> Response:
    return PlainTextResponse(
        "No site is served here any more.\n",
        status_code=404,
        headers={**_NEVER_STORED, "connection": "close"},
    )


def failed() -> Response:
    return PlainTextResponse(
        "This file of the release cannot be read; deploy the site again.\n",
        status_code=500,
        headers=_NEVER_STORED,
    )


def refused_method() -> Response:
    return PlainTextResponse(
        "A static site answers GET and HEAD only.\n",
        status_code=405,
        headers={**_NEVER_STORED, "allow": "GET, HEAD"},
    )

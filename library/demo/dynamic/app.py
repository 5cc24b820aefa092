"""A guest book: a small site that answers requests itself. Standard library only."""

from __future__ import annotations

import html
import os
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

HERE = Path(__file__).parent
ENTRIES: list[tuple[str, str]] = [("Ada", "What a friendly place.")]
LIMIT = 2000


class Site(BaseHTTPRequestHandler):
    """The first page, its style, and the form."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/":
            self.answer(200, "text/html; charset=utf-8", first_page())
        elif path == "/style.css":
            self.answer(200, "text/css; charset=utf-8", (HERE / "style.css").read_bytes())
        elif path == "/health":
            self.answer(200, "text/plain; charset=utf-8", b"ok\n")
        elif path.startswith("/.well-known/") and ".." not in path and (HERE / path[1:]).is_file():
            self.answer(200, "text/plain; charset=utf-8", (HERE / path[1:]).read_bytes())
        else:
            self.answer(404, "text/html; charset=utf-8", shell("Not found", "<h1>Not found</h1>"))

    do_HEAD = do_GET

    def do_POST(self) -> None:
        size = min(int(self.headers.get("content-length") or 0), LIMIT)
        form = parse_qs(self.rfile.read(size).decode(errors="replace"))
        name, words = form.get("name", [""])[0][:60], form.get("words", [""])[0][:400]
        if name.strip() and words.strip():
            ENTRIES.insert(0, (name.strip(), words.strip()))
            del ENTRIES[50:]
        self.answer(303, "text/plain; charset=utf-8", b"", {"location": "/"})

    def answer(self, status: int, kind: str, body: bytes, more: dict[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        for name, value in (more or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def first_page() -> bytes:
    year = datetime.now(timezone.utc).year
    items = "\n".join(
        f"<li><strong>{html.escape(name)}</strong><p>{html.escape(words)}</p></li>"
        for name, words in ENTRIES
    )
    return shell(
        "Guest book",
        f"""<h1>Guest book</h1>
<p>Leave a few words, {year} has room for them.</p>
<form method="post" action="/">
  <label>Your name <input name="name" maxlength="60" required autocomplete="name"></label>
  <label>Your words <textarea name="words" maxlength="400" rows="3" required></textarea></label>
  <button>Sign</button>
</form>
<h2>So far</h2>
<ul>{items}</ul>""",
    )


def shell(title: str, main: str) -> bytes:
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="description" content="A small guest book.">
<title>{title}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/style.css">
</head>
<body><main>{main}</main></body>
</html>
""".encode()


if __name__ == "__main__":
    port = int(os.environ.get("PORT", "8000"))
    ThreadingHTTPServer((os.environ.get("HOST", "127.0.0.1"), port), Site).serve_forever()

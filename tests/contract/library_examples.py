"""Sites that are made of nothing but the examples in the library's skills."""

from __future__ import annotations

import io
import os
import shutil
import subprocess

from PIL import Image

from core.models.session import SessionKey
from core.paths import CHECKOUT
from tests.contract.library_kit import block
from tests.contract.loop_kit import Loop

SCROLL = (
    '<div class="scroll" tabindex="0" role="region" aria-label="Prices">'
    f"<table><tr>{'<td>a long price list</td>' * 12}</tr></table></div>\n"
)
"""What skill site-responsive-layout says about wide tables, with a table in it."""

WIDTHS = (800, 1600)

GUEST_BOOK_TEST = """from playwright.sync_api import Page, expect


def test_a_visitor_signs_the_guest_book(page: Page, base_url: str) -> None:
    page.goto(base_url)
    page.get_by_label("Your words").fill("Hello <b>all</b>")
    page.get_by_role("button", name="Sign").click()
    expect(page.get_by_role("listitem").first).to_have_text("Hello <b>all</b>")
"""
"""What a visitor does on the example of a dynamic site, in words that must be escaped."""


def example_site() -> dict[str, bytes]:
    """The static site that the examples make together, by path below `source/`."""
    page = block("site/structure", "html")
    menu = page.replace("</main>", block("site/images", "html") + SCROLL + "</main>")
    contact = renamed(page, "Contact").replace("</main>", block("site/forms", "html") + "</main>")
    start = renamed(page, "Welcome").replace("</head>", block("site/seo", "html") + "</head>")
    texts = {
        "index.html": start, "menu/index.html": menu, "contact/index.html": contact,
        "404.html": renamed(page, "Not here"), "icon.svg": block("site/images", "svg"),
        "style.css": block("site/responsive-layout", "css") + block("site/accessibility", "css"),
        "robots.txt": block("site/seo", "text"), "sitemap.xml": block("site/seo", "xml"),
    }  # fmt: skip
    pictures = {f"img/loaf-{width}.webp": picture(width) for width in WIDTHS}
    return {**{path: text.encode() for path, text in texts.items()}, **pictures}


def example_app() -> dict[str, bytes]:
    """The dynamic site of the examples; it also says on stdout that it began."""
    program = f'print("serving the guest book")\n{block("site/dynamic-app", "python")}'
    return {
        "Procfile": block("site/dynamic-app", "procfile").encode(),
        "app.py": program.encode(),
    }


def renamed(page: str, heading: str) -> str:
    """The skeleton as another page."""
    named = page.replace("<title>Menu", f"<title>{heading}")
    return named.replace("<h1>Menu</h1>", f"<h1>{heading}</h1>")


def picture(width: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, width * 3 // 4), (122, 62, 18)).save(out, "WEBP")
    return out.getvalue()


def put(loop: Loop, key: SessionKey, files: dict[str, bytes]) -> None:
    """Into `source/`, as Claude would write them."""
    for path, content in files.items():
        file = loop.paths(key).source / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


def put_test(loop: Loop, key: SessionKey, text: str) -> None:
    """One of the session's own tests."""
    folder = loop.paths(key).root / "deployment" / "tests" / "e2e"
    (folder / "test_example.py").write_text(text)


def menu_test() -> str:
    """The test that the skill shows; it fits the example site."""
    return block("testing/e2e-tests", "python")


def in_shell(loop: Loop, key: SessionKey, command: str) -> subprocess.CompletedProcess[str]:
    """In the session's folder, as the operator types it, with the program on the path."""
    path = f"{CHECKOUT / '.venv' / 'bin'}{os.pathsep}{loop.environ['PATH']}"
    return subprocess.run(
        [str(shutil.which("sh")), "-c", command], check=False, capture_output=True, text=True,
        timeout=240, env={**loop.environ, "PATH": path}, cwd=loop.paths(key).root,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip

"""The site that every tool publishes: deterministic files of all kinds, 1 to 100 kB each."""

from __future__ import annotations

import random
import shutil
from hashlib import sha256
from pathlib import Path

FILES = 999
"""With the marker a thousand objects: what one listing gives."""
SIZE_BYTES = 22_000_000
LATENCY_MS = 30
PAGE = "blog/post-007/index.html"
_SEED = 20261127
_SMALLEST, _LARGEST = 1000, 100_000
_FOLDERS = 20


def make_site(folder: Path, files: int = FILES) -> Path:
    """`files` files, on average 22 kB: pages, styles, scripts and pictures, some with hashes."""
    shutil.rmtree(folder, ignore_errors=True)
    chance = random.Random(_SEED)
    words = [chance.randbytes(chance.randint(2, 5)).hex() for _ in range(4000)]
    for name, size in zip(_paths(files), _sizes(files, chance), strict=True):
        is_picture = name.endswith(".png")
        content = chance.randbytes(size) if is_picture else _text(size, words, chance)
        target = folder / name.replace("HASH", sha256(content).hexdigest()[:12])
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return folder


def change_page(folder: Path, number: int) -> None:
    """Another text of one page that is nobody's home page."""
    (folder / PAGE).write_text(f"<!doctype html><title>{number}</title><p>Version {number}.")


def _paths(files: int) -> list[str]:
    paths = ["index.html", "404.html", PAGE]
    kinds = (
        "blog/post-{n:03d}-x/index.html", "pages/{f}/page-{n}.html", "css/{f}/style-{n}.css",
        "img/{f}/photo-{n}.png", "img/{f}/picture-{n}.png", "assets/{f}/app-{n}.HASH.js",
        "assets/{f}/figure-{n}.HASH.png",
    )  # fmt: skip
    for number in range(files - len(paths)):
        kind = kinds[number % len(kinds)]
        paths.append(kind.format(n=number, f=number % _FOLDERS))
    return paths


def _sizes(files: int, chance: random.Random) -> list[int]:
    """Many small files and few large ones, scaled to the average size."""
    raw = [chance.paretovariate(1.1) for _ in range(files)]
    wanted = SIZE_BYTES * files / FILES
    low, high = 1.0, 1_000_000.0
    while high - low > 1:
        scale = (low + high) / 2
        total = sum(min(_LARGEST, max(_SMALLEST, int(one * scale))) for one in raw)
        low, high = (scale, high) if total < wanted else (low, scale)
    return [min(_LARGEST, max(_SMALLEST, int(one * low))) for one in raw]


def _text(size: int, words: list[str], chance: random.Random) -> bytes:
    return " ".join(chance.choices(words, k=size // 6 + 1)).encode()[:size].ljust(size)

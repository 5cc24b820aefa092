"""What a publish does, as pure sums: nothing too much, nothing forgotten, and in which order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.models.release import MARKER_PATH, PublishedObject, Release, ReleaseFile
from core.ports.objects import StoredObject
from core.publish.headers import headers_digest
from core.publish.object_comparison import Phase, compared, phase_of
from core.publish.url_paths import changed_url_paths

PATHS = ("index.html", "a/index.html", "style.css", "app.3f9a1c2b.js", "b.png", "c d.txt")
CONTENTS = st.dictionaries(st.sampled_from(PATHS), st.integers(0, 3), min_size=1)


def release_of(contents: dict[str, int]) -> Release:
    files = tuple(
        ReleaseFile(path=path, sha256=f"sha-{content}", size_bytes=content)
        for path, content in contents.items()
    )
    return Release(release_id="r", tree="t", files=files)


def etag(content: int) -> str:
    return f"{content:032x}"


def known_of(contents: dict[str, int]) -> dict[str, PublishedObject]:
    return {
        path: PublishedObject(
            path=path, sha256=f"sha-{content}", etag=etag(content), headers=headers_digest(path)
        )
        for path, content in contents.items()
    }


@given(release=CONTENTS, stored=CONTENTS, recorded=CONTENTS)
def test_after_the_planned_writes_and_deletes_the_store_is_the_release(
    release: dict[str, int], stored: dict[str, int], recorded: dict[str, int]
) -> None:
    listed = {p: StoredObject(etag=etag(c), size_bytes=c) for p, c in stored.items()}
    plan = compared(release_of(release), known_of(recorded), listed)
    after = {path: content for path, content in stored.items() if path not in plan.stale}
    after |= {file.path: release[file.path] for file in plan.pending}
    assert after == release


@given(release=CONTENTS, stored=CONTENTS)
def test_nothing_that_the_record_proves_is_sent(
    release: dict[str, int], stored: dict[str, int]
) -> None:
    listed = {p: StoredObject(etag=etag(c), size_bytes=c) for p, c in stored.items()}
    plan = compared(release_of(release), known_of(stored), listed)
    differing = {path for path, content in release.items() if stored.get(path) != content}
    assert {file.path for file in plan.pending} == differing
    assert plan.proofs == {}


@given(release=CONTENTS)
def test_the_phases_never_go_back(release: dict[str, int]) -> None:
    plan = compared(release_of(release), {}, {})
    phases = [phase_of(file.path) for file in plan.pending]
    assert phases == sorted(phases)


def test_a_proof_is_sought_only_where_size_and_etag_allow_one() -> None:
    release = release_of({"a.txt": 1, "b.txt": 2, "c.txt": 3})
    listed = {
        "a.txt": StoredObject(etag=etag(1), size_bytes=1),
        "b.txt": StoredObject(etag=etag(2), size_bytes=9),
        "c.txt": StoredObject(etag="0x8DE", size_bytes=3),
    }
    plan = compared(release, {}, listed)
    assert plan.proofs == {"a.txt": etag(1)}
    assert len(plan.pending) == 3


def test_the_marker_is_never_stale() -> None:
    listed = {MARKER_PATH: StoredObject(etag="m", size_bytes=20)}
    assert compared(release_of({"index.html": 1}), {}, listed).stale == ()


@pytest.mark.parametrize(
    ("path", "phase"),
    [
        ("app.3f9a1c2b.js", Phase.HASHED),
        ("assets/index-BxT3k9Za.js", Phase.HASHED),
        ("style.css", Phase.OTHER),
        ("feed.xml", Phase.OTHER),
        ("sw.js", Phase.OTHER),
        ("index.html", Phase.PAGE),
        ("old.htm", Phase.PAGE),
        ("page.3f9a1c2b.html", Phase.PAGE),
    ],
)
def test_a_file_goes_when_its_kind_goes(path: str, phase: Phase) -> None:
    assert phase_of(path) is phase


@pytest.mark.parametrize(
    ("paths", "addresses"),
    [
        (["index.html"], ("/", "/index.html")),
        (["a/index.html", "b.css"], ("/a/", "/a/index.html", "/b.css")),
        (["app.3f9a1c2b.js"], ()),
        ([], ()),
        (["myindex.html"], ("/myindex.html",)),
        (["a b/é#?.html"], ("/a%20b/%C3%A9%23%3F.html",)),
        (["100%.txt", "x~1@2x.png"], ("/100%25.txt", "/x~1@2x.png")),
        ([f"{n}.txt" for n in range(8)], tuple(f"/{n}.txt" for n in range(8))),
        ([f"{n}.txt" for n in range(9)], ("/*",)),
        ([f"{n}/index.html" for n in range(5)], ("/*",)),
        (["a.txt", "a.txt"], ("/a.txt",)),
    ],
)
def test_the_cdn_forgets_exactly_the_changed_addresses(
    paths: list[str], addresses: tuple[str, ...]
) -> None:
    assert changed_url_paths(paths) == addresses

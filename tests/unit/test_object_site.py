"""Publishing to an object store: order, minimal work, guards, and every way to be interrupted."""

from __future__ import annotations

import threading
from dataclasses import replace
from hashlib import md5
from itertools import count
from pathlib import Path

import pytest

from core.clock import wait_for
from core.errors import (
    AnswerIsNoError,
    BuilderError,
    CancelledError,
    CloudUnreachableError,
    NothingToDeployError,
    StorageError,
)
from core.models.release import MARKER_PATH, PublishedObject
from core.publish import object_site, object_uploads
from core.publish.object_site import ObjectSite
from tests.unit.object_memory import SitePlace, fault, new_place

FILES = {"index.html", "404.html", "about/index.html", "style.css", "app.3f9a1c2b.js"}


@pytest.fixture
def place(tmp_path: Path) -> SitePlace:
    return new_place(tmp_path)


@pytest.fixture
def blob_place(tmp_path: Path) -> SitePlace:
    """On a store whose ETags prove nothing."""
    return new_place(tmp_path, has_md5=False)


def verbs(place: SitePlace) -> list[str]:
    return [verb for verb, _path in place.objects.calls]


def test_hashed_assets_go_first_pages_last_then_marker_cdn_and_stale_files(
    place: SitePlace,
) -> None:
    place.objects.put("old.txt", b"old", {})
    place.publish()
    puts = place.objects.of("put")
    assert puts[:2] == ["app.3f9a1c2b.js", "style.css"]
    assert set(puts[2:5]) == {"index.html", "404.html", "about/index.html"}
    assert puts[5] == MARKER_PATH
    assert verbs(place) == ["list", *["put"] * 6, "invalidate", "delete"]
    assert place.objects.of("delete") == ["old.txt"]


def test_no_page_is_sent_before_every_asset_has_arrived(place: SitePlace) -> None:
    place.write(*(f"img/{number}.png" for number in range(30)))
    release, arrived = threading.Event(), []

    def slow(path: str, _size: int) -> None:
        if path == "img/3.png":
            release.wait(timeout=0.2)
        arrived.append(path)

    place.objects.on_put = slow
    place.publish()
    first_page = min(arrived.index(path) for path in FILES if path.endswith(".html"))
    assert all(arrived.index(f"img/{number}.png") < first_page for number in range(30))


def test_every_object_gets_its_headers(place: SitePlace) -> None:
    place.publish()
    headers = place.objects.headers
    assert headers["app.3f9a1c2b.js"] == {
        "Content-Type": "text/javascript; charset=utf-8",
        "Cache-Control": "public, max-age=31536000, immutable",
    }
    assert headers["index.html"]["Cache-Control"] == "no-cache"
    assert headers[MARKER_PATH]["Content-Type"] == "text/plain; charset=utf-8"


def test_the_marker_holds_the_release_id_alone_and_is_counted_nowhere(place: SitePlace) -> None:
    release = place.take()
    change = place.publish(release)
    assert place.objects.contents[MARKER_PATH] == release.release_id.encode()
    assert (change.files_total, change.files_changed) == (5, 5)
    assert change.uploaded_bytes == change.size_bytes == release.size_bytes
    assert (("file uploaded", MARKER_PATH)) not in place.logged
    assert {path for _message, path in place.logged} == FILES


def test_an_unchanged_site_costs_one_listing_and_nothing_else(place: SitePlace) -> None:
    place.publish()
    saves = place.saves
    change = place.publish()
    assert place.objects.calls == [("list", "")]
    assert (change.files_changed, change.files_deleted, change.invalidated) == (0, 0, ())
    assert place.saves == saves


def test_a_listing_that_was_asked_for_ahead_is_used_once_and_its_fault_is_told(
    place: SitePlace,
) -> None:
    site = place.site()
    site.look_ahead()
    site.publish(place.request(), lambda _paths: None)
    site.publish(place.request(), lambda _paths: None)
    assert place.objects.of("list") == ["", ""]
    place.objects.fails_at = len(place.objects.calls)
    site.look_ahead()
    with pytest.raises(CloudUnreachableError):
        site.publish(place.request(), lambda _paths: None)
    assert site.publish(place.request(), lambda _paths: None).files_changed == 0


def test_one_changed_page_costs_page_and_marker_and_three_addresses(place: SitePlace) -> None:
    place.publish()
    place.write("about/index.html", text="two")
    change = place.publish()
    assert place.objects.of("put") == ["about/index.html", MARKER_PATH]
    assert place.told == [("/.well-known/tmux-builder-release", "/about/", "/about/index.html")]
    assert change.files_changed == 1


def test_a_rollback_is_the_publish_of_a_former_release(place: SitePlace) -> None:
    first = place.take()
    place.publish(first)
    before = place.served()
    place.write("about/index.html", "new.css", text="two")
    place.publish()
    place.publish(first)
    assert place.served() == before


def test_a_lost_record_sends_nothing_that_the_etags_prove_equal(place: SitePlace) -> None:
    place.publish()
    before = place.known
    place.known = {}
    change = place.publish()
    assert place.objects.of("put") == []
    assert change.files_changed == 0
    assert place.known == before
    assert place.told, "whether the CDN was told is lost with the record"
    assert place.publish().invalidated == ()


def test_a_lost_record_on_a_store_without_proof_sends_everything_again(
    blob_place: SitePlace,
) -> None:
    blob_place.publish()
    blob_place.known = {}
    blob_place.publish()
    assert set(blob_place.objects.of("put")) == {*FILES, MARKER_PATH}


def test_other_header_rules_write_the_file_again(place: SitePlace) -> None:
    place.publish()
    place.known["style.css"] = replace(place.known["style.css"], headers="of an older rule")
    place.publish()
    assert place.objects.of("put") == ["style.css"]


def test_what_somebody_changed_by_hand_is_found_and_put_right(place: SitePlace) -> None:
    place.publish()
    before = place.served()
    place.objects.put("style.css", b"other", {})
    place.objects.put("extra.txt", b"extra", {})
    del place.objects.contents["404.html"]
    found = {one.what: (one.expected, one.found) for one in place.site().drift("bucket", "b1")}
    style = md5(b"style.css one").hexdigest()
    assert found["file style.css"] == (style, md5(b"other").hexdigest())
    assert found["file extra.txt"][0] == "none"
    assert found["file 404.html"][1] == "none"
    assert len(found) == 3
    place.publish()
    assert place.served() == before
    assert place.site().drift("bucket", "b1") == ()


def test_our_content_written_over_by_hand_with_other_headers_is_sent_again(
    place: SitePlace,
) -> None:
    place.publish()
    content = place.objects.contents["style.css"]
    place.objects.contents["style.css"] = content
    place.objects.etags["style.css"] = "f" * 32
    place.publish()
    assert place.objects.of("put") == ["style.css"]


def test_more_deletes_than_allowed_are_refused_before_the_first_write(place: SitePlace) -> None:
    place.write(*(f"old/{number}.txt" for number in range(11)))
    place.publish()
    for file in (place.paths.source / "old").iterdir():
        file.unlink()
    place.write("index.html", text="two")
    with pytest.raises(AnswerIsNoError, match=r"delete 11 files .* 10 allowed") as caught:
        place.publish()
    assert caught.value.code == "too_many_deletes"
    assert "--max-delete 11" in caught.value.remedy
    assert place.objects.calls == [("list", "")]
    assert place.publish(max_delete=11).files_deleted == 11


def test_a_release_without_a_home_page_is_refused_before_anything(place: SitePlace) -> None:
    release = place.take()
    files = tuple(file for file in release.files if file.path != "index.html")
    with pytest.raises(NothingToDeployError, match=r"no index\.html"):
        place.publish(replace(release, files=files))
    assert place.objects.calls == []


@pytest.mark.parametrize("path", ["a//b.txt", "a/./b.txt", "../b.txt", "x" * 1025])
def test_a_path_that_cannot_be_an_object_is_refused_by_name(place: SitePlace, path: str) -> None:
    release = place.take()
    odd = replace(release.files[0], path=path)
    with pytest.raises(AnswerIsNoError, match="cannot be an object's name") as caught:
        place.publish(replace(release, files=(*release.files, odd)))
    assert path[:200] in caught.value.message
    assert place.objects.calls == []


def test_the_preview_says_what_the_publish_then_does_and_asks_nobody(place: SitePlace) -> None:
    for text in ("one", "two", "two"):
        place.write("style.css", text=text)
        place.objects.calls.clear()
        foretold = place.site().preview(place.request())
        assert place.objects.calls == []
        assert foretold == place.publish()


def test_a_cancelled_publish_keeps_record_of_what_it_wrote(place: SitePlace) -> None:
    place.write(*(f"img/{number}.png" for number in range(200)))
    asked = iter(range(10_000))
    with pytest.raises(CancelledError):
        place.publish(cancelled=lambda: next(asked) > 20)
    written = set(place.objects.of("put"))
    assert written
    assert written == set(place.known)
    assert MARKER_PATH not in written
    place.publish()
    assert not written & set(place.objects.of("put"))


def test_an_upload_that_fails_fails_the_publish_and_the_others_are_recorded(
    place: SitePlace,
) -> None:
    place.write(*(f"img/{number}.png" for number in range(40)))

    def refuse(path: str, _size: int) -> None:
        if path == "img/7.png":
            raise fault()

    place.objects.on_put = refuse
    with pytest.raises(CloudUnreachableError):
        place.publish()
    assert set(place.known) == set(place.objects.contents)
    assert "index.html" not in place.known


def test_a_cdn_that_was_not_told_is_told_by_the_next_publish(place: SitePlace) -> None:
    place.publish()
    place.write("about/index.html", text="two")
    place.objects.fails_at = 3
    with pytest.raises(CloudUnreachableError):
        place.publish()
    assert verbs(place) == ["list", "put", "put", "invalidate"]
    place.objects.fails_at = None
    place.publish()
    assert place.told == [("/.well-known/tmux-builder-release", "/about/", "/about/index.html")]
    assert place.publish().invalidated == ()


@pytest.mark.parametrize("effect", ["fails_at", "dies_at"])
@pytest.mark.parametrize("kills", [True, False])
@pytest.mark.parametrize("has_md5", [True, False])
def test_a_fault_at_any_call_ends_as_a_clean_publish_when_it_is_run_again(
    tmp_path: Path, effect: str, kills: bool, has_md5: bool
) -> None:
    """Also where the process dies with it: only the record and the store outlive a run."""
    for number in count():
        (tmp_path / str(number)).mkdir()
        place = new_place(tmp_path / str(number), has_md5=has_md5)
        place.write("old.txt")
        place.publish()
        (place.paths.source / "old.txt").unlink()
        place.write("about/index.html", "new.css", text="two")
        setattr(place.objects, effect, number)
        place.objects.kills = kills
        told = run_twice(place)
        if told is None:
            assert number == 6
            return
        assert set(place.served()) == {*FILES, "new.css", MARKER_PATH}
        assert place.served()["about/index.html"] == b"about/index.html two"
        needed = {"/about/", "/about/index.html", "/new.css", "/old.txt"}
        assert needed <= told or "/*" in told
        assert place.publish().invalidated == ()


def run_twice(place: SitePlace) -> set[str] | None:
    """What the CDN heard in a run that failed and the next; None where the first did not fail."""
    try:
        place.publish()
    except BuilderError:
        first = {path for paths in place.told for path in paths}
        place.objects.fails_at = place.objects.dies_at = None
        place.publish()
        return first | {path for paths in place.told for path in paths}
    return None


def test_the_record_is_kept_before_the_marker_and_now_and_then(
    place: SitePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_site, "REMEMBERED_FILES", 10)
    place.write(*(f"img/{number}.png" for number in range(45)))
    saved_at_marker = []

    def look(path: str, _size: int) -> None:
        if path == MARKER_PATH:
            saved_at_marker.append((place.saves, len(place.known)))

    place.objects.on_put = look
    place.publish()
    assert saved_at_marker == [(5, 50)]


def test_one_changed_page_is_recorded_while_the_marker_is_on_its_way(place: SitePlace) -> None:
    place.publish()
    place.write("about/index.html", text="two")
    before = place.saves
    met = []

    def wait(path: str, _size: int) -> None:
        if path == MARKER_PATH:
            met.append(wait_for(lambda: place.saves > before, deadline_s=10, interval_s=0.001))

    place.objects.on_put = wait
    place.publish()
    assert met == [True]
    assert place.known["about/index.html"].is_announced


@pytest.mark.parametrize("broken", [1, 2])
def test_a_record_that_cannot_be_kept_fails_the_publish_and_the_next_one_heals_it(
    place: SitePlace, broken: int
) -> None:
    place.publish()
    place.write("about/index.html", text="two")
    number = count(1)

    def remember(known: dict[str, PublishedObject]) -> None:
        if next(number) == broken:
            raise StorageError("The disk is full.", remedy="Free some space.")
        place.known = known

    site = ObjectSite(place.objects, place.known, remember)
    with pytest.raises(StorageError):
        site.publish(place.request(), lambda _paths: None)
    place.publish()
    assert place.told == [("/.well-known/tmux-builder-release", "/about/", "/about/index.html")]
    assert place.served()["about/index.html"] == b"about/index.html two"
    assert place.publish().invalidated == ()


def test_files_that_are_put_right_are_recorded_before_the_cdn_is_asked(place: SitePlace) -> None:
    """Also where the marker needs no writing."""
    place.publish()
    del place.objects.contents["style.css"]
    place.objects.fails_at = 2
    with pytest.raises(CloudUnreachableError):
        place.publish()
    assert verbs(place) == ["list", "put", "invalidate"]
    assert not place.known["style.css"].is_announced
    place.objects.fails_at = None
    place.publish()
    assert place.objects.of("put") == []
    assert place.told == [("/style.css",)]


def test_a_big_file_is_sent_in_parts_and_never_held(
    place: SitePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_uploads, "BIG_FILE_BYTES", 1000)
    place.write("film.mp4", text="x" * 2000)
    place.publish()
    assert place.objects.in_parts == ["film.mp4"]
    assert place.objects.contents["film.mp4"].endswith(b"x" * 2000)


def test_only_so_many_bytes_are_in_flight(
    place: SitePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_uploads, "IN_FLIGHT_BYTES", 5000)
    place.write(*(f"img/{number}.png" for number in range(60)), text="x" * 985)
    in_flight, most, lock = 0, 0, threading.Lock()

    def count_bytes(_path: str, size: int) -> None:
        nonlocal in_flight, most
        with lock:
            in_flight += size
            most = max(most, in_flight)
        threading.Event().wait(0.002)
        with lock:
            in_flight -= size

    place.objects.on_put = count_bytes
    place.publish()
    assert 1000 < most <= 5000


def test_a_drift_of_thousands_is_told_in_a_hundred_lines(place: SitePlace) -> None:
    place.publish()
    place.objects.contents.update({f"x{number}": b"" for number in range(500)})
    place.objects.etags.update({f"x{number}": "e" for number in range(500)})
    found = place.site().drift("bucket", "b1")
    assert len(found) == 101
    assert found[-1].found == "400 differ"

"""The agent on a scratch root: start, switch, roll back, refuse, and what a kill leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import requests

from core.clock import wait_for
from core.hosts.instance.agent import unpacking
from core.hosts.instance.agent.answering import AgentError
from core.hosts.instance.agent.place import Place
from core.hosts.instance.agent.unpacking import unpack
from core.models.release import MARKER_PATH
from tests.site.instance_kit import (
    InstanceUnderTest,
    app_files,
    instance,
    marker,
    text,
    write_tar,
)


@pytest.fixture(scope="module")
def shared() -> Iterator[InstanceUnderTest]:
    with instance() as one:
        yield one


@pytest.fixture
def served(shared: InstanceUnderTest) -> InstanceUnderTest:
    """The shared instance, serving `one`."""
    if shared.serving is None or shared.serving.poll() is not None:
        shared.serve()
    shared.deploy(app_files("one"))
    return shared


def test_a_release_answers_on_the_public_port_with_its_marker(served: InstanceUnderTest) -> None:
    release_id = served.deploy(app_files("hello"))
    assert (text(served.url), marker(served.url)) == ("hello", release_id)
    status = served.status()
    assert (status["release"], status["app"], status["restarts"]) == (release_id, "running", 0)


def test_the_same_release_again_changes_nothing(served: InstanceUnderTest) -> None:
    before = served.status()["pid"]
    answer = served.release(replace(served.archive(app_files("one")), path=Path("/gone")))
    assert (answer["ok"], answer["changed"], answer["pid"]) == (True, False, before)


def test_switches_and_a_rollback_under_load_lose_no_request(served: InstanceUnderTest) -> None:
    url, first = served.url, served.status()["release"]
    done = threading.Event()

    def read(path: str) -> set[int]:
        statuses = set()
        with requests.Session() as visitor:
            while not done.is_set():
                statuses.add(visitor.get(f"{url}{path}", timeout=30).status_code)
        return statuses

    with ThreadPoolExecutor(4) as pool:
        reading = [pool.submit(read, path) for path in ("/", "/", "/slow", "/slow")]
        served.deploy(app_files("two"))
        assert text(url) == "two"
        served.deploy(app_files("three"))
        assert served.run("rollback", "--id", first)["changed"]
        assert text(url) == "one"
        done.set()
        assert [one.result() for one in reading] == [{200}] * 4


def test_the_former_program_is_ended_after_a_switch(served: InstanceUnderTest) -> None:
    former = served.status()["pid"]
    served.deploy(app_files("two"))
    assert wait_for(lambda: former not in served.processes(), deadline_s=15)


def test_a_rollback_to_what_is_not_kept_is_refused(served: InstanceUnderTest) -> None:
    answer = served.run("rollback", "--id", "abcdef0123456789")
    assert (answer["ok"], answer["error"]["code"]) == (False, "no_release")
    assert text(served.url) == "one"


@pytest.mark.parametrize(
    ("web", "reason", "said"),
    [
        ("web: echo no such luck; exit 7\n", "ended with code 7", "no such luck"),
        ("web: no-such-program $PORT\n", "ended with code 127", "no-such-program"),
        ("worker: python3 app.py\nweb:\n", "no Procfile with a web: line", None),
    ],
)
def test_a_program_that_does_not_start_leaves_the_old_release(
    served: InstanceUnderTest, web: str, reason: str, said: str | None
) -> None:
    release_id, archive = served.status()["release"], None
    if said is None:
        archive = served.crafted([member("Procfile"), member("app.py")])
    answer = served.release(archive or served.archive(app_files("bad", web)))
    assert not answer["ok"]
    assert reason in answer["error"]["message"]
    assert said is None or any(said in line for line in answer["log"])
    assert (text(served.url), marker(served.url)) == ("one", release_id)


def test_a_program_that_never_listens_leaves_the_old_release_and_nothing_of_itself() -> None:
    with instance(start_s=1.5) as one:
        one.deploy(app_files("one"))
        kept = one.processes()
        web = "web: echo waiting for nothing; exec sleep 600\n"
        answer = one.release(one.archive(app_files("bad", web)))
        assert answer["error"]["code"] == "app_not_started"
        assert "did not answer on 127.0.0.1:$PORT in 1.5 s" in answer["error"]["message"]
        assert answer["log"] == ["waiting for nothing"]
        assert (text(one.url), one.processes()) == ("one", kept)


def test_a_crashed_program_is_started_again_and_what_it_said_is_kept(
    served: InstanceUnderTest,
) -> None:
    assert requests.get(f"{served.url}/die", timeout=10).status_code == 502
    assert text(served.url) == "one"
    assert served.status()["restarts"] == 1
    assert "dying of one" in served.run("log", "--lines", "20")["log"]


def test_what_a_program_sent_into_the_background_ends_with_it(served: InstanceUnderTest) -> None:
    web = "web: setsid sleep 600 & exec python3 app.py\n"
    served.deploy(app_files("with a daemon", web))
    daemons = served.processes()
    assert len(daemons) >= 2
    served.deploy(app_files("without"))
    assert wait_for(lambda: not daemons & served.processes(), deadline_s=20)


def test_a_program_that_crashes_at_every_start_gets_a_page_that_says_so() -> None:
    with instance(start_s=5) as one:
        flag = one.base / "flag"
        flag.touch()
        web = f"web: test -e {flag} && exec python3 app.py; echo no flag; exit 9\n"
        one.deploy(app_files("one", web))
        flag.unlink()
        requests.get(f"{one.url}/die", timeout=10)
        assert wait_for(lambda: requests.get(one.url, timeout=30).status_code == 503, deadline_s=20)
        assert one.status()["log"] == ["no flag"]
        marker_url = f"{one.url}/{MARKER_PATH}"
        assert wait_for(
            lambda: requests.get(marker_url, timeout=30).status_code == 503, deadline_s=20
        )
        flag.touch()
        assert wait_for(lambda: requests.get(one.url, timeout=30).status_code == 200, deadline_s=30)


def test_a_killed_agent_comes_back_with_what_it_served_and_leaves_no_old_program(
    served: InstanceUnderTest,
) -> None:
    release_id, former = served.status()["release"], served.status()["pid"]
    served.kill()
    assert served.status()["app"] == "down"
    served.serve()
    assert (text(served.url), marker(served.url)) == ("one", release_id)
    assert former not in served.processes()


def test_an_agent_that_is_asked_to_end_answers_what_it_was_asked(served: InstanceUnderTest) -> None:
    assert served.serving is not None
    with ThreadPoolExecutor(1) as pool:
        url = served.url
        asked = pool.submit(lambda: text(f"{url}/slow"))
        assert wait_for(lambda: "asked slowly" in served.run("log")["log"], deadline_s=10)
        served.serving.terminate()
        assert asked.result() == "one"
    assert served.serving.wait(timeout=20) == 0
    assert not served.processes()


def member(name: str, size: int = 4, **fields: object) -> tarfile.TarInfo:
    one = tarfile.TarInfo(name)
    one.size = size
    for field, value in fields.items():
        setattr(one, field, value)
    return one


REFUSED = {
    "link": member("a", 0, type=tarfile.SYMTYPE, linkname="/etc/passwd"),
    "hard link": member("a", 0, type=tarfile.LNKTYPE, linkname="Procfile"),
    "device": member("a", 0, type=tarfile.CHRTYPE, devmajor=1, devminor=3),
    "fifo": member("a", 0, type=tarfile.FIFOTYPE),
    "folder": member("a", 0, type=tarfile.DIRTYPE),
    "above": member("../outside"),
    "above later": member("a/../../outside"),
    "absolute": member("/etc/outside"),
    "dot": member("./outside"),
    "empty segment": member("a//outside"),
    "twice": member("Procfile"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_an_archive_with_anything_but_plain_files_below_itself_is_refused(
    tmp_path: Path, kind: str
) -> None:
    place = Place(tmp_path / "root")
    place.make()
    path = write_tar(tmp_path / "archive", [member("Procfile"), REFUSED[kind]])
    with pytest.raises(AgentError) as caught:
        unpack(place, "cafecafe", path)
    assert caught.value.code == "archive_refused"
    assert not list(tmp_path.rglob("outside"))
    assert not place.release("cafecafe").exists()


def test_an_archive_that_unpacks_to_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpacking, "LARGEST_SITE_BYTES", 1000)
    place = Place(tmp_path / "root")
    place.make()
    path = write_tar(tmp_path / "archive", [member("small", 900), member("large", 101)])
    with pytest.raises(AgentError, match="more than is accepted"):
        unpack(place, "cafecafe", path)


def test_a_refused_archive_leaves_what_is_served(served: InstanceUnderTest) -> None:
    answer = served.release(served.crafted([member("Procfile"), REFUSED["above"]]))
    assert answer["error"]["code"] == "archive_refused"
    assert (text(served.url), served.status()["app"]) == ("one", "running")
    served.deploy(app_files("next"))
    assert not list((served.root / "releases").glob(".making-*"))


def test_an_archive_that_is_not_the_one_that_was_named_is_refused(
    served: InstanceUnderTest,
) -> None:
    archive = served.archive(app_files("tampered"))
    content = bytearray(archive.path.read_bytes())
    content[-1] ^= 1
    archive.path.write_bytes(content)
    assert "sha256" in served.release(archive)["error"]["message"]
    archive.path.write_bytes(bytes(content) + b"x")
    assert "bytes instead of" in served.release(archive)["error"]["message"]
    archive.path.unlink()
    assert served.release(archive)["error"]["code"] == "fetch_failed"
    assert text(served.url) == "one"


def test_a_command_killed_during_the_fetch_leaves_nothing_and_can_be_repeated(
    served: InstanceUnderTest,
) -> None:
    archive = served.archive(app_files("fetched"))
    pipe = served.base / "pipe"
    os.mkfifo(pipe)
    words = served.words(archive, source=pipe.as_uri())
    killed = subprocess.Popen(served.command(*words), stdout=subprocess.DEVNULL)
    with pipe.open("wb") as feeding:
        feeding.write(archive.path.read_bytes()[:100])
        feeding.flush()
        assert wait_for(lambda: list((served.root / "releases").glob(".making-*")), deadline_s=5)
        killed.kill()
        killed.wait()
    pipe.unlink()
    assert text(served.url) == "one"
    assert served.release(archive)["changed"]
    assert text(served.url) == "fetched"
    assert not list((served.root / "releases").glob(".making-*"))


def test_a_command_killed_while_the_new_program_starts_leaves_the_old_one(
    served: InstanceUnderTest,
) -> None:
    flag = served.base / "may-start"
    web = f"web: while ! test -e {flag}; do sleep 0.05; done; exec python3 app.py\n"
    archive = served.archive(app_files("started", web))
    before = served.processes()
    killed = subprocess.Popen(served.command(*served.words(archive)), stdout=subprocess.DEVNULL)
    assert wait_for(lambda: served.processes() - before, deadline_s=10)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert wait_for(lambda: not served.processes() - before, deadline_s=10)
    assert text(served.url) == "one"
    flag.touch()
    assert served.release(archive)["changed"]
    assert text(served.url) == "started"


def test_an_agent_killed_while_the_new_program_starts_comes_back_with_the_old_one(
    served: InstanceUnderTest,
) -> None:
    archive = served.archive(app_files("never", "web: exec sleep 600\n"))
    before = served.processes()
    asking = subprocess.Popen(
        served.command(*served.words(archive)), stdout=subprocess.PIPE, text=True
    )
    assert wait_for(lambda: served.processes() - before, deadline_s=10)
    served.kill()
    said, _nothing = asking.communicate(timeout=20)
    assert '"cancelled"' in said
    served.serve()
    assert text(served.url) == "one"
    assert len(served.processes()) == 1


def test_only_the_newest_releases_are_kept_and_always_the_one_that_is_served(
    tmp_path: Path,
) -> None:
    place = Place(tmp_path)
    place.make()
    for number in range(12):
        folder = place.release(f"{number:08x}")
        folder.mkdir()
        (folder / "built.json").write_text(json.dumps({"environment": f"e{number}"}))
        (place.environments / f"e{number}").mkdir()
        os.utime(folder / "built.json", (number, number))
    place.switch("00000000")
    os.utime(place.release("00000000") / "built.json", (0, 0))
    place.prune(10)
    kept = {int(folder.name, 16) for folder in place.releases.iterdir()}
    assert kept == {0, *range(2, 12)}
    assert {folder.name for folder in place.environments.iterdir()} == {f"e{n}" for n in kept}


def test_two_commands_at_once_are_one_after_the_other(served: InstanceUnderTest) -> None:
    first, second = (served.archive(app_files(word)) for word in ("first", "second"))
    pipe = served.base / "slow"
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as pool:
        words = served.words(first, source=pipe.as_uri())
        slow = pool.submit(served.run, *words)
        with pipe.open("wb") as feeding:
            waiting = subprocess.Popen(
                served.command(*served.words(second)), stdout=subprocess.DEVNULL
            )
            assert wait_for(lambda: opened(waiting.pid, "command.lock"), deadline_s=10)
            feeding.write(first.path.read_bytes())
        assert slow.result()["release"] == first.release_id
    assert waiting.wait(timeout=30) == 0
    assert text(served.url) == "second"


def opened(pid: int, name: str) -> bool:
    """Whether the process has a file of that name open."""
    try:
        return any(link.readlink().name == name for link in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return False

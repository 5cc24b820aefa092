"""What a release's program gets: its packages, its variables, its own user; and what it prints."""

from __future__ import annotations

import io
import json
import os
import pwd
import stat
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from core.clock import wait_for
from core.hosts.instance.agent.app import web_command
from core.hosts.instance.agent.building import environment_key
from core.publish.procfile import web_command as products_web_command
from tests.site.instance_kit import WEB, InstanceUnderTest, app_files, instance, text

SECRET = "sk_live_4242"
VARIABLES_APP = """
import http.server, json, os, sys
if os.environ.get("API_KEY") == "broken":
    sys.exit("this key is refused")
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({**os.environ, "UID": os.getuid()}).encode())
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""
NODE_APP = """
const word = require("./word.js");
require("http").createServer((_asked, answer) => answer.end(word)).listen(process.env.PORT);
"""


@pytest.fixture(scope="module")
def shared() -> Iterator[InstanceUnderTest]:
    with instance() as one:
        yield one


def environment_of(one: InstanceUnderTest) -> dict[str, Any]:
    """What the program was started with, and as whom."""
    return dict(json.loads(text(one.url)))


def variables(one: InstanceUnderTest, values: dict[str, str]) -> str:
    path = one.base / "facility.json"
    path.write_text(json.dumps(values))
    return f"file:{path}"


def test_variables_arrive_with_a_release_and_change_without_one(shared: InstanceUnderTest) -> None:
    archive = shared.archive({"Procfile": WEB, "app.py": VARIABLES_APP})
    answer = shared.release(archive, "--variables", variables(shared, {"API_KEY": "first"}))
    assert (answer["ok"], answer["variables"]) == (True, 1)
    assert environment_of(shared)["API_KEY"] == "first"
    answer = shared.run("variables", "--variables", variables(shared, {"OTHER": "second"}))
    assert answer["changed"]
    assert {"API_KEY", "OTHER"} & set(environment_of(shared)) == {"OTHER"}
    before = shared.status()["pid"]
    assert not shared.run("variables", "--variables", variables(shared, {"OTHER": "second"}))[
        "changed"
    ]
    assert shared.status()["pid"] == before


def test_variables_that_the_program_does_not_come_up_with_are_not_taken(
    shared: InstanceUnderTest,
) -> None:
    archive = shared.archive({"Procfile": WEB, "app.py": VARIABLES_APP})
    shared.release(archive, "--variables", variables(shared, {"API_KEY": "good"}))
    answer = shared.run("variables", "--variables", variables(shared, {"API_KEY": "broken"}))
    assert answer["error"]["code"] == "app_not_started"
    assert answer["log"] == ["this key is refused"]
    assert environment_of(shared)["API_KEY"] == "good"
    shared.kill()
    shared.serve()
    assert environment_of(shared)["API_KEY"] == "good"


def test_a_value_lies_in_one_private_file_and_in_no_argument_or_log(
    shared: InstanceUnderTest,
) -> None:
    archive = shared.archive({"Procfile": WEB, "app.py": VARIABLES_APP})
    source = variables(shared, {"API_KEY": SECRET})
    answers = [shared.release(archive, "--variables", source), shared.status()]
    (shared.base / "facility.json").unlink()
    assert environment_of(shared)["API_KEY"] == SECRET
    holding = [
        path for path in shared.base.rglob("*")
        if path.is_file() and SECRET.encode() in path.read_bytes()
    ]  # fmt: skip
    assert holding == [shared.root / "variables.json"]
    assert stat.S_IMODE(holding[0].stat().st_mode) == 0o600
    assert SECRET not in json.dumps(answers)
    listed = subprocess.run(["ps", "axww", "-o", "args"], check=True, capture_output=True)
    assert SECRET.encode() not in listed.stdout


def test_the_program_gets_its_variables_and_a_clean_environment(shared: InstanceUnderTest) -> None:
    shared.deploy({"Procfile": WEB, "app.py": VARIABLES_APP, "new": "1"})
    shared.run("variables", "--variables", variables(shared, {"PORT": "1", "MINE": "2"}))
    given = environment_of(shared)
    assert given["PORT"] != "1"
    assert set(given) - {"UID", "PWD", "LC_CTYPE", "SHLVL", "_", "OLDPWD"} == {
        "PATH", "PORT", "HOST", "HOME", "DATA_DIR", "LANG", "PYTHONUNBUFFERED",
        "PYTHONDONTWRITEBYTECODE", "NODE_ENV", "TMUX_BUILDER_RUN", "MINE",
    }  # fmt: skip


@pytest.mark.parametrize("held", ["[1]", "{", '{"lower": "x"}', '{"A": 1}', '{"A": "a\\u0000b"}'])
def test_what_cannot_be_given_to_a_program_is_refused(shared: InstanceUnderTest, held: str) -> None:
    shared.deploy({"Procfile": WEB, "app.py": VARIABLES_APP})
    path = shared.base / "bad.json"
    path.write_text(held)
    answer = shared.run("variables", "--variables", f"file:{path}")
    assert answer["error"]["code"] == "fetch_failed"


def test_the_program_runs_as_its_own_user_and_cannot_change_its_release() -> None:
    """As root, that is another user than the agent's; without root there is only one."""
    wanted = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else os.geteuid()
    with instance(user="nobody", python="/usr/bin/python3") as one:
        one.deploy({"Procfile": WEB, "app.py": VARIABLES_APP})
        assert environment_of(one)["UID"] == wanted
        owners = {path.stat().st_uid for path in (one.root / "releases").rglob("*")}
        assert owners == {os.geteuid()}
        assert (one.root / "data").stat().st_uid == wanted
        assert not os.access(one.root / "agent.sock", os.X_OK)
        assert stat.S_IMODE((one.root / "agent.sock").stat().st_mode) == 0o600


def wheel(word: str) -> bytes:
    written = io.BytesIO()
    info = "tiny-1.0.dist-info"
    with zipfile.ZipFile(written, "w") as packed:
        packed.writestr("tiny.py", f"WORD = {word!r}\n")
        packed.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        packed.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        packed.writestr(f"{info}/RECORD", "")
    return written.getvalue()


def test_required_python_packages_are_there_and_only_for_this_release(
    shared: InstanceUnderTest,
) -> None:
    app = app_files("x")["app.py"].replace("WORD = 'x'", "from tiny import WORD")
    files: dict[str, str | bytes] = {
        "Procfile": "web: exec python app.py\n", "app.py": app,
        "requirements.txt": "./wheels/tiny-1.0-py3-none-any.whl\n",
    }  # fmt: skip
    release_id = shared.deploy({**files, "wheels/tiny-1.0-py3-none-any.whl": wheel("packed")})
    assert text(shared.url) == "packed"
    assert [path.name for path in (shared.root / "environments").iterdir()] == [release_id]


def test_packages_that_cannot_be_installed_fail_with_what_the_installer_said(
    shared: InstanceUnderTest,
) -> None:
    shared.deploy(app_files("before"))
    package = {"name": "s", "version": "1.0.0", "dependencies": {"gone": "file:./gone.tgz"}}
    answer = shared.release(
        shared.archive({**app_files("after"), "package.json": json.dumps(package)})
    )
    assert answer["error"] == {"code": "build_failed", "message": "npm ended with code 254."}
    assert any("gone.tgz" in line for line in answer["log"])
    assert text(shared.url) == "before"


@pytest.mark.parametrize(
    ("asked", "is_shared"),
    [
        ("flask==3.0.0\n# why\n\nuvicorn[standard]>=0.30,<1 ; python_version > '3.8'\n", True),
        ("-r more.txt\n", False),
        ("./wheels/tiny.whl\n", False),
        ("tiny.whl\n", False),
        ("tiny @ file:///tmp/tiny.whl\n", False),
        ("--index-url https://example.org/\nflask\n", False),
    ],
)
def test_an_environment_is_shared_only_where_no_file_of_the_site_takes_part(
    tmp_path: Path, asked: str, is_shared: bool
) -> None:
    (tmp_path / "tiny.whl").touch()
    (tmp_path / "requirements.txt").write_text(asked)
    assert (environment_key(tmp_path) is not None) is is_shared


def test_a_node_site_is_built_and_served(shared: InstanceUnderTest) -> None:
    lock = {"name": "s", "version": "1.0.0", "lockfileVersion": 3,
            "packages": {"": {"name": "s", "version": "1.0.0"}}}  # fmt: skip
    shared.deploy({
        "Procfile": "web: exec node app.js\n", "app.js": NODE_APP,
        "package.json": json.dumps({
            "name": "s", "version": "1.0.0",
            "scripts": {"install": "echo 'module.exports = \"built\"' > word.js"},
        }),
        "package-lock.json": json.dumps(lock),
    })  # fmt: skip
    assert text(shared.url) == "built"


def test_a_command_killed_during_the_build_leaves_the_old_release_and_can_be_repeated(
    shared: InstanceUnderTest,
) -> None:
    flag = shared.base / "may-build"
    shared.deploy(app_files("before"))
    package = {
        "name": "s",
        "version": "1.0.0",
        "scripts": {"install": f"test -e {flag} || sleep 600"},
    }
    archive = shared.archive({**app_files("built"), "package.json": json.dumps(package)})
    before = shared.processes()
    killed = subprocess.Popen(shared.command(*shared.words(archive)), stdout=subprocess.DEVNULL)
    assert wait_for(lambda: len(shared.processes() - before) >= 2, deadline_s=20)
    killed.kill()
    killed.wait()
    assert wait_for(lambda: not shared.processes() - before, deadline_s=15)
    assert text(shared.url) == "before"
    flag.touch()
    assert shared.release(archive)["ok"]
    assert text(shared.url) == "built"


def test_what_the_program_prints_is_bounded_on_disk_and_in_answers(
    shared: InstanceUnderTest,
) -> None:
    noise = "head -c 3000000 /dev/zero | tr '\\0' 'x'; seq 1 3000;"
    shared.deploy(app_files("loud", f"web: {noise} exec python3 app.py\n"))
    sizes = [path.stat().st_size for path in shared.root.glob("app.log*")]
    assert sizes
    assert max(sizes) < 1_200_000
    lines = shared.run("log", "--lines", "200")["log"]
    assert lines[-1] == "starting loud"
    assert lines[-2] == "3000"


@pytest.mark.parametrize(
    "content",
    [
        b"web: python app.py\n",
        b"web:   a && b  \r\nother: x",
        b"# web: no\nweb: \nweb: yes",
        b"x: y",
        b"web:",
        b"\xffweb: a\nweb: b",
        b"web: a\0b",
    ],
)
def test_the_agent_reads_a_procfile_as_the_product_does(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "Procfile").write_bytes(content)
    expected = products_web_command(content)
    if expected is not None:
        assert web_command(tmp_path) == expected
        return
    with pytest.raises(Exception, match="no Procfile with a web: line"):
        web_command(tmp_path)


def test_a_rollback_gives_the_files_a_new_time_so_that_no_validator_matches(
    shared: InstanceUnderTest,
) -> None:
    web = "web: exec python3 -m http.server --bind 127.0.0.1 $PORT\n"
    first = shared.deploy({"Procfile": web, "page.html": "one"})
    seen = requests.get(f"{shared.url}/page.html", timeout=10).headers["last-modified"]
    os.utime(shared.root / "releases" / first / "site" / "page.html", (1, 1))
    shared.deploy({"Procfile": web, "page.html": "two"})
    assert shared.run("rollback", "--id", first)["ok"]
    again = requests.get(f"{shared.url}/page.html", timeout=10)
    assert again.headers["last-modified"] >= seen
    assert "1970" not in again.headers["last-modified"]

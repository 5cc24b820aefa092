"""The app in a real terminal of a private tmux: what Pilot cannot see."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from core.clock import wait_for

CHECKOUT = Path(__file__).resolve().parent.parent.parent
DEADLINE_S = 30.0
COLOUR = re.compile(r"\x1b\[(?:[0-9;]*;)?(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])[;m]")

pytestmark = pytest.mark.tmux


class Terminal:
    """A tmux server of its own with one pane."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    def tmux(self, *arguments: str, environ: Mapping[str, str] | None = None) -> str:
        command = ["tmux", "-u", "-S", str(self._socket), "-f", "/dev/null", *arguments]
        clean = {name: value for name, value in os.environ.items() if name != "TMUX"}
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=20, check=True,
            env={**clean, "LC_ALL": "C.UTF-8", **(environ or {})},
        )  # fmt: skip
        return done.stdout

    def start(self, data: str = "small", **environ: str) -> None:
        """The app on made-up data; the pane stays when the app has ended."""
        settings = "".join(f"{name}='{value}' " for name, value in environ.items())
        run = f"exec env {settings}{sys.executable} -m tests.tui.demo_app {data}"
        shell = f"cd '{CHECKOUT}'; ({run}); echo ended with $?; exec sleep 60"
        self.tmux("new-session", "-d", "-s", "t", "-x", "120", "-y", "35", shell)

    def keys(self, *keys: str) -> None:
        self.tmux("send-keys", "-t", "t", *keys)

    def type(self, text: str) -> None:
        self.tmux("send-keys", "-t", "t", "-l", text)

    def screen(self, *options: str) -> str:
        return self.tmux("capture-pane", "-p", *options, "-t", "t")

    def wait(self, wanted: str) -> str:
        seen = wait_for(lambda: wanted in self.screen(), deadline_s=DEADLINE_S)
        text = self.screen()
        assert seen, f"never: {wanted}\n{text}"
        return text

    def app_pid(self) -> int:
        shell = self.tmux("display-message", "-p", "-t", "t", "#{pane_pid}").strip()
        children = Path(f"/proc/{shell}/task/{shell}/children").read_text().split()
        return int(children[0])


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    made = Terminal(tmp_path / "s")
    yield made
    subprocess.run(
        ["tmux", "-S", str(tmp_path / "s"), "kill-server"], check=False, timeout=20,
        capture_output=True,
    )  # fmt: skip


def test_keys_typed_before_the_first_paint_are_not_lost(terminal: Terminal) -> None:
    terminal.start()
    terminal.type("/bistro")
    text = terminal.wait("jan@bistro.pl")
    wait_for(lambda: "ana@acme.io" not in terminal.screen(), deadline_s=DEADLINE_S)
    text = terminal.screen()
    assert "│ bistro " in text
    assert "ana@acme.io" not in text


def test_a_pasted_text_keeps_its_lines_and_is_not_sent(terminal: Terminal) -> None:
    terminal.start()
    terminal.wait("ana@acme.io")
    terminal.keys("j", "i")
    terminal.wait("Enter send")
    terminal.tmux("set-buffer", "-b", "x", "alpha\nbeta\n/gamma")
    terminal.tmux("paste-buffer", "-p", "-r", "-b", "x", "-t", "t")
    text = terminal.wait("/gamma")
    rows = [row for row in text.splitlines() if re.search("alpha|beta|/gamma", row)]
    assert len(rows) == 3
    assert "queued" not in text


def test_attach_gives_the_terminal_away_and_takes_it_back(terminal: Terminal) -> None:
    terminal.start()
    terminal.wait("ana@acme.io")
    terminal.keys("a")
    text = terminal.wait("back from the real terminal")
    assert "1 Sessions" in text


def test_leaving_restores_the_terminal_and_says_what_goes_on(terminal: Terminal) -> None:
    terminal.start()
    terminal.wait("ana@acme.io")
    terminal.keys("q")
    text = terminal.wait("ended with 0")
    assert "Sessions and runs go on" in text
    state = terminal.tmux("display-message", "-p", "-t", "t", "#{alternate_on} #{cursor_flag}")
    assert state.strip() == "0 1"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_restores_the_terminal(terminal: Terminal, number: signal.Signals) -> None:
    terminal.start()
    terminal.wait("ana@acme.io")
    os.kill(terminal.app_pid(), number)
    terminal.wait(f"ended with {128 + number}")
    state = terminal.tmux("display-message", "-p", "-t", "t", "#{alternate_on} #{cursor_flag}")
    assert state.strip() == "0 1"


def test_closing_the_terminal_ends_the_app(terminal: Terminal) -> None:
    terminal.start()
    terminal.wait("ana@acme.io")
    process = Path(f"/proc/{terminal.app_pid()}/status")
    terminal.tmux("kill-server")

    def is_gone() -> bool:
        try:
            return "State:\tZ" in process.read_text()
        except OSError:
            return True

    assert wait_for(is_gone, deadline_s=DEADLINE_S)


def test_no_color_draws_no_colour_and_every_state_is_a_word(terminal: Terminal) -> None:
    terminal.start(NO_COLOR="1")
    text = terminal.wait("needs you")
    assert not COLOUR.search(terminal.screen("-e"))
    assert all(word in text for word in ("needs you", "failed", "working", "live", "parked"))


def test_an_empty_no_color_keeps_colour(terminal: Terminal) -> None:
    terminal.start(NO_COLOR="")
    terminal.wait("needs you")
    assert COLOUR.search(terminal.screen("-e"))


def test_without_a_utf8_locale_the_frame_is_ascii(terminal: Terminal) -> None:
    terminal.start(LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    text = terminal.wait("needs you")
    assert "+- 1 Sessions" in text

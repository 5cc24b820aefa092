"""Prepare this computer for `make run` and `make test`, then hand over.

Runs on a bare Python before anything is installed, so it is standard library only and imports
nothing of the project. It never uses sudo: what it may not install itself, it prints as a command.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
VENV = CHECKOUT / ".venv"
TOOLS = CHECKOUT / ".tools"
CLAUDE_PACKAGE = "@anthropic-ai/claude-code@2.1.330"
AZURITE_PACKAGE = "azurite@3.35.0"
AWS_CLI_PACKAGE = "awscli==1.46.3"
AZURITE = TOOLS / "node_modules" / "azurite" / "package.json"
PINNED_CLAUDE = TOOLS / "node_modules" / ".bin" / "claude"
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
EXIT_MISSING = 8
INSTALL_TIMEOUT_S = 1800


def main(arguments: Sequence[str]) -> int:
    """Set up for a purpose and, for `run`, become the program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("purpose", choices=("run", "test", "check"))
    purpose = parser.parse_args(arguments).purpose
    try:
        prepare(purpose)
    except MissingError as missing:
        say(f"{missing}")
        return EXIT_MISSING
    if purpose == "run":
        become_the_program()
    return 0


class MissingError(Exception):
    """Something is missing that may not be installed from here; the text ends with the command."""


def prepare(purpose: str) -> None:
    """Everything that `purpose` needs, in the order in which it fails fastest."""
    if sys.version_info < (3, 11):  # noqa: UP036 - pip has not checked it yet
        found = platform.python_version()
        raise MissingError(
            f"Python {found} is too old, 3.11 is needed.\nfix: make {purpose} PYTHON=python3.11"
        )
    if purpose != "check":
        prepare_programs()
        prepare_claude(pinned=purpose == "test")
    if purpose == "test":
        prepare_azurite()
    prepare_environment(with_development=purpose != "run")
    if purpose == "test":
        prepare_aws_cli()
    if purpose != "check":
        prepare_chromium(required=purpose == "test")


def prepare_programs() -> None:
    wanted = {"tmux": "tmux", "git": "git"}
    if platform.system() == "Linux":
        wanted["bwrap"] = "bubblewrap"
    missing = [package for program, package in wanted.items() if shutil.which(program) is None]
    if missing:
        install_packages(missing)


def install_packages(packages: Sequence[str]) -> None:
    """Install by the system's own package manager where no password is asked.

    Raises:
        MissingError: It may not be done from here.
    """
    if platform.system() == "Darwin" and shutil.which("brew"):
        run(["brew", "install", *packages])
        return
    command = ["apt-get", "install", "-y", "--no-install-recommends", *packages]
    if shutil.which("apt-get") and os.geteuid() == 0:
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        run(["apt-get", "update", "-qq"], environment=quiet)
        run(command, environment=quiet)
        return
    names = " ".join(packages)
    manager = "brew install" if platform.system() == "Darwin" else "sudo apt-get install"
    raise MissingError(f"{names} missing on this computer.\nfix: {manager} {names}")


def prepare_claude(*, pinned: bool) -> None:
    """The operator's own CLI is used where there is one; tests always use the pinned version."""
    if PINNED_CLAUDE.exists() or (not pinned and shutil.which("claude")):
        return
    if shutil.which("npm") is None:
        install_packages(["npm"])
    TOOLS.mkdir(exist_ok=True)
    say(f"installing the Claude CLI ({CLAUDE_PACKAGE}) into {TOOLS.name}/")
    run(["npm", "install", "--no-fund", "--no-audit", "--prefix", str(TOOLS), CLAUDE_PACKAGE])
    if not works([str(PINNED_CLAUDE), "--version"]):
        package = TOOLS / "node_modules" / "@anthropic-ai" / "claude-code"
        run(["node", "install.cjs"], folder=package)
    if not works([str(PINNED_CLAUDE), "--version"]):
        raise MissingError(f"The Claude CLI does not start.\nfix: npm install -g {CLAUDE_PACKAGE}")


def prepare_azurite() -> None:
    """Microsoft's emulator of blob storage, which the tests of the Azure hosts publish to."""
    if AZURITE.exists():
        return
    if shutil.which("npm") is None:
        install_packages(["npm"])
    TOOLS.mkdir(exist_ok=True)
    say(f"installing the storage emulator ({AZURITE_PACKAGE}) into {TOOLS.name}/")
    run(["npm", "install", "--no-fund", "--no-audit", "--prefix", str(TOOLS), AZURITE_PACKAGE])


def prepare_aws_cli() -> None:
    """The AWS CLI, in an environment of its own: tests run the commands that documents name."""
    folder = TOOLS / "peers" / "aws"
    stamp = folder / f"installed-{AWS_CLI_PACKAGE}"
    if stamp.exists():
        return
    say(f"installing {AWS_CLI_PACKAGE} into {TOOLS.name}/")
    venv.create(folder, with_pip=True, clear=folder.exists())
    pip = [str(folder / "bin" / "pip"), "install", "-q", "--disable-pip-version-check"]
    run([*pip, AWS_CLI_PACKAGE])
    stamp.touch()


def prepare_environment(*, with_development: bool) -> None:
    """Our own `.venv`, renewed whenever pyproject.toml changed."""
    extra = "[dev]" if with_development else ""
    stamp = VENV / f"installed{extra}"
    wanted = hashlib.sha256((CHECKOUT / "pyproject.toml").read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return
    if not (VENV / "bin" / "pip").exists():
        make_environment()
    say("installing the Python packages into .venv (a minute or two the first time)")
    run([str(VENV / "bin" / "pip"), "install", "-q", "-e", f".{extra}"], folder=CHECKOUT)
    stamp.write_text(wanted)


def make_environment() -> None:
    try:
        venv.create(VENV, with_pip=True, clear=VENV.exists())
    except (subprocess.CalledProcessError, ImportError):
        install_packages(["python3-venv"])
        venv.create(VENV, with_pip=True, clear=True)


def prepare_chromium(*, required: bool) -> None:
    """A browser for the screenshots and tests; without one those two steps say so and go on."""
    if any(shutil.which(name) for name in CHROMIUM_NAMES) or has_playwright_chromium():
        return
    try:
        if required:
            install_packages(["chromium", "fonts-liberation"])
            return
    except (MissingError, subprocess.CalledProcessError):
        pass
    if required and works([str(VENV / "bin" / "playwright"), "install", "chromium"]):
        return
    say("warning: no Chromium found: screenshots and browser tests will be skipped")
    say("fix: .venv/bin/playwright install chromium   (or your system's chromium package)")


def has_playwright_chromium() -> bool:
    folders = [os.environ.get("PLAYWRIGHT_BROWSERS_PATH", "")]
    folders += [
        str(Path.home() / ".cache/ms-playwright"),
        str(Path.home() / "Library/Caches/ms-playwright"),
    ]
    return any(folder and list(Path(folder).glob("chromium*")) for folder in folders)


def become_the_program() -> None:
    """With a terminal the app opens; without one the demo runs and prints the page's URL last."""
    program = str(VENV / "bin" / "tmux-builder")
    on_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    arguments = [program] if on_terminal else [program, "demo", "--no-tui"]
    sys.stdout.flush()
    os.execv(program, arguments)  # noqa: S606 - an argument list, on purpose without a shell


def run(
    command: Sequence[str], *, folder: Path | None = None, environment: dict[str, str] | None = None
) -> None:
    """Run a command with its output on stderr: stdout belongs to the program that follows."""
    try:
        subprocess.run(
            command, cwd=folder, env=environment, check=True, timeout=INSTALL_TIMEOUT_S,
            stdin=subprocess.DEVNULL, stdout=sys.stderr,
        )  # fmt: skip
    except (subprocess.CalledProcessError, OSError) as error:
        raise MissingError(
            f"A set-up command failed ({error}).\nfix: {' '.join(command)}"
        ) from error


def works(command: Sequence[str]) -> bool:
    try:
        done = subprocess.run(
            command, check=False, capture_output=True, stdin=subprocess.DEVNULL, timeout=600
        )
    except OSError:
        return False
    return done.returncode == 0


def say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Settings: what may be set, where each value came from, and who wins.

Flags, then environment (`TMUX_BUILDER_CLAUDE_MODE` for `claude.mode`), then
`./tmux-builder.toml`, then the account's config.toml, then defaults. Where the data root lies is
no setting; see `core.paths`.
"""

from __future__ import annotations

import difflib
import math
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from core.errors import StorageError, UsageError
from core.paths import config_folder

PROJECT_FILE = "tmux-builder.toml"
ACCOUNT_FILE = "config.toml"
FILE_LIMIT_BYTES = 262_144
DEFAULT_ORIGIN = "default"

Scalar = str | int | float | bool
Value = None | Scalar | Mapping[str, str]

_DURATION = re.compile(r"(\d{1,6})\s*(s|m|h|d)")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_CLOUD_PARTS = frozenset({"arm", "blob", "authority", "ca"})
_BINDING = re.compile(r"keys\.[a-z][a-z0-9_.]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One key: its default and what else it takes. `check` answers the value or raises."""

    key: str
    default: Value
    need: str
    check: Callable[[object], Value]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every value with its origin: `flag`, `env NAME`, a file's path, or `default`."""

    values: Mapping[str, Value]
    origins: Mapping[str, str] = field(default_factory=dict)
    files: tuple[Path, ...] = ()
    """The files that were read, the stronger one first."""

    def origin(self, key: str) -> str:
        return self.origins.get(key, DEFAULT_ORIGIN)

    def text(self, key: str) -> str:
        return str(self.values[key])

    @property
    def aws_profile(self) -> str:
        return self.text("aws.profile")

    @property
    def aws_region(self) -> str:
        return self.text("aws.region")

    @property
    def azure_subscription(self) -> str:
        return self.text("azure.subscription")

    @property
    def azure_location(self) -> str:
        return self.text("azure.location")

    @property
    def azure_cloud(self) -> str | Mapping[str, str]:
        return cast("str | Mapping[str, str]", self.values["azure.cloud"])

    @property
    def azure_cdn(self) -> str:
        """`frontdoor`, or `none`: the storage account's own web endpoint."""
        return self.text("azure.cdn")

    @property
    def store_url(self) -> str | None:
        return cast("str | None", self.values["store.url"])

    @property
    def claude_command(self) -> str:
        return self.text("claude.command")

    @property
    def claude_mode(self) -> str:
        """`unattended` or `supervised`."""
        return self.text("claude.mode")

    @property
    def claude_awake_max(self) -> int | None:
        """How many Claudes may be awake at once; None decides by memory."""
        return cast("int | None", self.values["claude.awake_max"])

    @property
    def claude_park_after_s(self) -> float:
        return duration_s(self.text("claude.park_after"))

    @property
    def isolation_required(self) -> bool:
        return self.values["isolation"] == "required"

    @property
    def library_path(self) -> Path | None:
        """The operator's own library; None means `library/` beside the account's settings."""
        named = cast("str | None", self.values["library.path"])
        return None if named is None else Path(named).expanduser()

    @property
    def network_limited(self) -> bool:
        """Whether a pane reaches the model and the package registries only."""
        return self.values["network"] == "limited"

    @property
    def approvals_timeout_s(self) -> float:
        """How long an approval may stay unanswered before it is a deny."""
        return duration_s(self.text("approvals.timeout"))

    @property
    def turn_after(self) -> str:
        return self.text("turn.after")

    @property
    def turn_repairs(self) -> int:
        return cast("int", self.values["turn.repairs"])

    @property
    def usd_per_user_day(self) -> float | None:
        return cast("float | None", self.values["limits.usd_per_user_day"])

    @property
    def usd_per_day(self) -> float | None:
        return cast("float | None", self.values["limits.usd_per_day"])

    @property
    def runs(self) -> int:
        """How many runs of the pipeline may go on at once."""
        return cast("int", self.values["limits.runs"])

    @property
    def domain_zone(self) -> str | None:
        return cast("str | None", self.values["domain.zone"])

    @property
    def ui_theme(self) -> str:
        return self.text("ui.theme")

    @property
    def ui_glyphs(self) -> str:
        return self.text("ui.glyphs")

    @property
    def ui_motion(self) -> bool:
        return bool(self.values["ui.motion"])

    @property
    def ui_mouse(self) -> bool:
        return bool(self.values["ui.mouse"])

    @property
    def ui_fold(self) -> str:
        return self.text("ui.fold")

    @property
    def keys(self) -> Mapping[str, str]:
        """The operator's own keys by action id."""
        named = (item for item in self.values.items() if item[0].startswith("keys."))
        return {key.removeprefix("keys."): str(value) for key, value in named}


def duration_s(text: str) -> float:
    """Seconds behind `90s`, `15m`, `2h` or `1d`.

    Raises:
        ValueError: It is none of these.
    """
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(text)
    return int(match[1]) * _SECONDS[match[2]]


def _word(value: object) -> Value:
    if not isinstance(value, str) or not 0 < len(value) <= 256 or not value.isprintable():
        raise ValueError(value)
    return value


def _choice(*allowed: str) -> Callable[[object], Value]:
    def check(value: object) -> Value:
        if value not in allowed:
            raise ValueError(value)
        return str(value)

    return check


def _count(low: int, high: int) -> Callable[[object], Value]:
    def check(value: object) -> Value:
        number = int(value) if isinstance(value, str) else value
        if isinstance(number, bool) or not isinstance(number, int) or not low <= number <= high:
            raise ValueError(value)
        return number

    return check


def _amount(value: object) -> Value:
    number = float(value) if isinstance(value, (str, int)) else value
    if isinstance(value, bool) or not isinstance(number, float):
        raise ValueError(value)  # noqa: TRY004 - one kind of fault for the one place that catches
    if not math.isfinite(number) or number < 0:
        raise ValueError(value)
    return number


def _switch(value: object) -> Value:
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return value == "true"
    raise ValueError(value)


def _duration(value: object) -> Value:
    if not isinstance(value, str):
        raise ValueError(value)  # noqa: TRY004 - as above
    duration_s(value)
    return value


def _folder(value: object) -> Value:
    text = str(_word(value))
    if not text.startswith(("/", "~/")):
        raise ValueError(value)
    return text


def _duration_within(low_s: int, high_s: int) -> Callable[[object], Value]:
    def check(value: object) -> Value:
        text = _duration(value)
        if not low_s <= duration_s(str(text)) <= high_s:
            raise ValueError(value)
        return text

    return check


def _cloud(value: object) -> Value:
    if isinstance(value, str):
        return _choice("public", "usgov", "china")(value)
    if not isinstance(value, dict) or not set(value) <= _CLOUD_PARTS:
        raise ValueError(value)
    return {str(part): str(_word(text)) for part, text in value.items()}


def _store_url(value: object) -> Value:
    if not isinstance(value, str) or not value.startswith(("postgresql://", "postgres://")):
        raise ValueError("not a PostgreSQL URL")  # the value may hold a password
    return value


_SETTINGS = (
    Setting(key="aws.profile", default="sunwaretech", need="a profile's name", check=_word),
    Setting(key="aws.region", default="us-east-1", need="a region's name", check=_word),
    Setting(key="azure.subscription", default="sunwaretech", need="a name or id", check=_word),
    Setting(key="azure.location", default="eastus", need="a location's name", check=_word),
    Setting(
        key="azure.cloud", default="public",
        need="public, usgov, china or a table with arm, blob, authority, ca", check=_cloud,
    ),
    Setting(key="azure.cdn", default="frontdoor", need="frontdoor or none",
            check=_choice("frontdoor", "none")),
    Setting(key="store.url", default=None, need="postgresql://...", check=_store_url),
    Setting(key="claude.command", default="claude", need="a program", check=_word),
    Setting(
        key="claude.mode", default="unattended", need="unattended or supervised",
        check=_choice("unattended", "supervised"),
    ),
    Setting(key="claude.awake_max", default=None, need="a count of 1 to 1000",
            check=_count(1, 1000)),
    Setting(key="claude.park_after", default="15m", need="a duration such as 15m",
            check=_duration),
    Setting(key="isolation", default="required", need="required or off",
            check=_choice("required", "off")),
    Setting(key="library.path", default=None, need="an absolute folder", check=_folder),
    Setting(key="network", default="open", need="open or limited",
            check=_choice("open", "limited")),
    Setting(key="approvals.timeout", default="10m", need="a duration of 10s to 50m",
            check=_duration_within(10, 3000)),
    Setting(key="turn.after", default="manual", need="manual, deploy or deploy+repair",
            check=_choice("manual", "deploy", "deploy+repair")),
    Setting(key="turn.repairs", default=2, need="a count of 0 to 20", check=_count(0, 20)),
    Setting(key="limits.usd_per_user_day", default=None, need="an amount", check=_amount),
    Setting(key="limits.usd_per_day", default=None, need="an amount", check=_amount),
    Setting(key="limits.runs", default=2, need="a count of 1 to 64", check=_count(1, 64)),
    Setting(key="domain.zone", default=None, need="a DNS zone", check=_word),
    Setting(key="ui.theme", default="dark", need="a theme's name", check=_word),
    Setting(key="ui.glyphs", default="unicode", need="unicode or ascii",
            check=_choice("unicode", "ascii")),
    Setting(key="ui.motion", default=True, need="true or false", check=_switch),
    Setting(key="ui.mouse", default=True, need="true or false", check=_switch),
    Setting(key="ui.fold", default="auto", need="auto, all or none",
            check=_choice("auto", "all", "none")),
)  # fmt: skip
SETTINGS: Mapping[str, Setting] = {setting.key: setting for setting in _SETTINGS}


def load_settings(
    flags: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    *,
    config_file: Path | None = None,
    untrusted: Path | None = None,
) -> Settings:
    """Every setting, by precedence.

    Args:
        flags: Keys that the command line sets.
        environ: The process's own where it is not given; `cwd` likewise.
        config_file: Read instead of both files; it must be there.
        untrusted: The data root: a `tmux-builder.toml` below it is a customer's, not ours.

    Raises:
        UsageError: An unknown key, or a value that its key does not take.
        StorageError: A file is there and cannot be read.
    """
    environ = os.environ if environ is None else environ
    cwd = Path.cwd() if cwd is None else cwd
    values: dict[str, Value] = {key: setting.default for key, setting in SETTINGS.items()}
    origins: dict[str, str] = {}
    files = _files(environ, cwd, config_file, untrusted)
    layers: list[tuple[str, Mapping[str, object]]] = [
        (str(file), read_settings_file(file)) for file in reversed(files)
    ]
    layers += [(f"env {name}", {key: text}) for key, name, text in _from_environ(environ)]
    layers.append(("flag", flags or {}))
    for origin, layer in layers:
        for key, raw in layer.items():
            values[key] = checked(key, raw, origin)
            origins[key] = origin
    return Settings(values=values, origins=origins, files=files)


def checked(key: str, raw: object, origin: str) -> Value:
    """The value of `key`, or the sentence that says what it takes.

    Raises:
        UsageError: The key is unknown or does not take this value.
    """
    if _BINDING.fullmatch(key):
        setting = Setting(key=key, default=None, need="a key's name", check=_word)
    elif key in SETTINGS:
        setting = SETTINGS[key]
    else:
        near = difflib.get_close_matches(key, SETTINGS, n=1, cutoff=0.5)
        hint = f"Did you mean {near[0]}?" if near else "tmux-builder config show lists them all."
        raise UsageError(f"There is no setting {key[:64]!r} ({origin}).", remedy=hint)
    try:
        return setting.check(raw)
    except (ValueError, TypeError) as error:
        raise UsageError(
            f"The setting {key} does not take this value ({origin}): {setting.need} is needed.",
            remedy=f"tmux-builder config set {key} VALUE",
        ) from error


def read_settings_file(file: Path) -> dict[str, object]:
    """The file's keys in dotted form; tables that are values stay whole.

    Raises:
        UsageError: It is not TOML.
        StorageError: It cannot be read.
    """
    try:
        with file.open("rb") as stream:
            content = stream.read(FILE_LIMIT_BYTES)
        return dict(_flat(tomllib.loads(content.decode())))
    except OSError as error:
        raise StorageError(
            f"The settings file {file} cannot be read: {error.strerror}.",
            remedy="Mend its rights, or name another one with --config.",
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(
            f"The settings file {file} is not TOML: {error}.", remedy=f"Mend {file}."
        ) from error


def account_file(environ: Mapping[str, str]) -> Path:
    """Where this account's settings lie, whether the file exists or not."""
    return config_folder(environ) / ACCOUNT_FILE


def settings_files(
    environ: Mapping[str, str], cwd: Path, *, config_file: Path | None, untrusted: Path | None
) -> tuple[Path, ...]:
    """Every file that has a say once it exists, the stronger one first."""
    if config_file is not None:
        return (config_file,)
    found = [account_file(environ)]
    if untrusted is None or not cwd.resolve().is_relative_to(untrusted.resolve()):
        found.insert(0, cwd / PROJECT_FILE)
    return tuple(found)


def _flat(tree: Mapping[str, object], prefix: str = "") -> list[tuple[str, object]]:
    rows: list[tuple[str, object]] = []
    for name, value in tree.items():
        key = f"{prefix}{name}"
        if isinstance(value, dict) and key not in SETTINGS:
            rows += _flat(value, f"{key}.")
        else:
            rows.append((key, value))
    return rows


def _files(
    environ: Mapping[str, str], cwd: Path, chosen: Path | None, untrusted: Path | None
) -> tuple[Path, ...]:
    if chosen is not None:
        return (chosen,)
    found = settings_files(environ, cwd, config_file=None, untrusted=untrusted)
    return tuple(file for file in found if file.is_file())


def _from_environ(environ: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """(key, variable, text) of every setting that the environment gives."""
    named = [(key, f"TMUX_BUILDER_{key.replace('.', '_').upper()}") for key in SETTINGS]
    found = [(key, name, environ[name]) for key, name in named if environ.get(name)]
    if environ.get("TEXTUAL_ANIMATIONS") == "none":
        found.append(("ui.motion", "TEXTUAL_ANIMATIONS", "false"))
    return found

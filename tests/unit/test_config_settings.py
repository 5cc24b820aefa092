from __future__ import annotations

from pathlib import Path

import pytest

from core.config import SETTINGS, Settings, load_settings
from core.errors import StorageError, UsageError
from core.settings_file import set_setting, unset_setting


def load(folder: Path, *, flags: dict[str, object] | None = None, **environ: str) -> Settings:
    return load_settings(flags or {}, {"HOME": str(folder / "home"), **environ}, folder)


def account(folder: Path, text: str) -> Path:
    file = folder / "home/.config/tmux-builder/config.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def test_the_defaults_are_the_published_ones(tmp_path: Path) -> None:
    settings = load(tmp_path)

    assert (settings.aws_profile, settings.aws_region) == ("sunwaretech", "us-east-1")
    assert (settings.azure_subscription, settings.azure_location) == ("sunwaretech", "eastus")
    assert (settings.azure_cloud, settings.store_url) == ("public", None)
    assert (settings.claude_command, settings.claude_mode) == ("claude", "unattended")
    assert (settings.claude_awake_max, settings.claude_park_after_s) == (None, 900)
    assert settings.isolation_required
    assert (settings.turn_after, settings.turn_repairs) == ("manual", 2)
    assert (settings.usd_per_user_day, settings.usd_per_day, settings.runs) == (None, None, 2)
    assert settings.domain_zone is None
    assert settings.keys == {}
    assert {settings.origin(key) for key in SETTINGS} == {"default"}


def test_flags_beat_environment_beats_project_beats_account(tmp_path: Path) -> None:
    mine = account(
        tmp_path, '[limits]\nruns = 3\n[aws]\nregion = "a"\nprofile = "a"\n[ui]\ntheme = "a"\n'
    )
    project = tmp_path / "tmux-builder.toml"
    project.write_text('[aws]\nregion = "p"\nprofile = "p"\n[ui]\ntheme = "p"\n')

    settings = load(
        tmp_path, flags={"ui.theme": "f"},
        TMUX_BUILDER_AWS_PROFILE="e", TMUX_BUILDER_UI_THEME="e",
    )  # fmt: skip

    seen = {key: (settings.values[key], settings.origin(key)) for key in settings.origins}
    assert seen == {
        "limits.runs": (3, str(mine)),
        "aws.region": ("p", str(project)),
        "aws.profile": ("e", "env TMUX_BUILDER_AWS_PROFILE"),
        "ui.theme": ("f", "flag"),
    }


def test_an_unknown_key_is_refused_with_the_nearest(tmp_path: Path) -> None:
    account(tmp_path, '[aws]\nprofil = "x"\n')

    with pytest.raises(UsageError) as caught:
        load(tmp_path)

    assert "aws.profile" in caught.value.remedy
    assert "aws.profil" in caught.value.message


@pytest.mark.parametrize(
    "line",
    [
        "limits.runs = 0", "limits.runs = true", 'limits.runs = "many"', "limits.usd_per_day = -1",
        "limits.usd_per_day = nan", 'claude.mode = "yolo"', "claude.mode = 1", "aws.region = ''",
        'claude.park_after = "soon"', 'isolation = "no"', 'ui.mouse = "maybe"',
        'store.url = "mysql://x"', 'azure.cloud = "mars"', 'azure.cloud = {arm = "x", evil = "y"}',
        'data.dir = "/tmp"', 'keys.list = ["a"]',
    ],
)  # fmt: skip
def test_a_bad_value_gets_a_sentence(tmp_path: Path, line: str) -> None:
    account(tmp_path, line)

    with pytest.raises(UsageError) as caught:
        load(tmp_path)

    assert caught.value.message.endswith(".")


def test_every_form_of_value_is_taken(tmp_path: Path) -> None:
    account(
        tmp_path,
        'azure.cloud = {arm = "https://arm", blob = "https://{name}.blob"}\n'
        'claude.park_after = "2h"\nlimits.usd_per_day = 5\nui.mouse = false\n'
        'store.url = "postgresql://db/x"\nkeys.deploy = "ctrl+d"\nisolation = "off"\n',
    )

    settings = load(tmp_path, TEXTUAL_ANIMATIONS="none", TMUX_BUILDER_CLAUDE_AWAKE_MAX="4")

    assert settings.azure_cloud == {"arm": "https://arm", "blob": "https://{name}.blob"}
    assert (settings.claude_park_after_s, settings.usd_per_day) == (7200, 5.0)
    assert not settings.ui_mouse
    assert not settings.ui_motion
    assert settings.keys == {"deploy": "ctrl+d"}
    assert settings.claude_awake_max == 4
    assert not settings.isolation_required


def test_a_refused_store_url_is_not_repeated_with_its_password(tmp_path: Path) -> None:
    account(tmp_path, 'store.url = "mysql://me:hunter2@db"')

    with pytest.raises(UsageError) as caught:
        load(tmp_path)

    assert "hunter2" not in f"{caught.value.message} {caught.value.remedy}"


def test_a_settings_file_below_the_data_root_is_a_customers_and_ignored(tmp_path: Path) -> None:
    session = tmp_path / "users/u/sessions/s/source"
    session.mkdir(parents=True)
    (session / "tmux-builder.toml").write_text('isolation = "off"\n')
    environ = {"HOME": str(tmp_path)}

    settings = load_settings({}, environ, session, untrusted=tmp_path / "users")
    assert settings.isolation_required
    assert not load_settings({}, environ, session).isolation_required


def test_a_named_file_is_read_alone_and_must_be_there(tmp_path: Path) -> None:
    account(tmp_path, '[ui]\ntheme = "account"\n')
    chosen = tmp_path / "mine.toml"
    environ = {"HOME": str(tmp_path / "home")}

    with pytest.raises(StorageError):
        load_settings({}, environ, tmp_path, config_file=chosen)
    chosen.write_text("limits.runs = 5")
    settings = load_settings({}, environ, tmp_path, config_file=chosen)
    assert (settings.runs, settings.ui_theme) == (5, "dark")


def test_a_file_that_is_not_toml_names_itself(tmp_path: Path) -> None:
    file = account(tmp_path, "this is not toml")

    with pytest.raises(UsageError, match=str(file)):
        load(tmp_path)


def test_a_set_value_is_read_back_and_other_lines_stay(tmp_path: Path) -> None:
    file = account(tmp_path, '# mine\n[ui]\ntheme = "x" # best\n\n[aws]\nregion = "r"\n')

    for key, text in {
        "ui.theme": "light", "ui.mouse": "false", "isolation": "off", "limits.runs": "4",
        "claude.park_after": "2h", "keys.deploy": "ctrl+d", "domain.zone": "1234",
    }.items():  # fmt: skip
        set_setting(file, key, text)

    settings = load(tmp_path)
    assert (settings.ui_theme, settings.ui_mouse, settings.runs) == ("light", False, 4)
    assert (settings.isolation_required, settings.claude_park_after_s) == (False, 7200)
    assert (settings.keys, settings.domain_zone) == ({"deploy": "ctrl+d"}, "1234")
    assert settings.aws_region == "r"
    assert file.read_text().count("# mine") == 1


def test_a_refused_value_changes_nothing(tmp_path: Path) -> None:
    file = account(tmp_path, '[ui]\ntheme = "x"\n')

    for key, text in {"limits.runs": "0", "nonsense": "1", "ui.theme": "a\x1b[0m"}.items():
        with pytest.raises(UsageError):
            set_setting(file, key, text)

    assert file.read_text() == '[ui]\ntheme = "x"\n'


def test_the_first_setting_makes_the_file(tmp_path: Path) -> None:
    file = tmp_path / "home/.config/tmux-builder/config.toml"
    set_setting(file, "aws.profile", "acme")

    assert load(tmp_path).aws_profile == "acme"
    assert file.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("before", "key", "after"),
    [
        ("# mine\n[aws]\nprofile = 'a'\nregion = 'b'\n", "aws.region",
         "# mine\n[aws]\nprofile = 'a'\n"),
        ("isolation = 'off'\n[aws]\nprofile = 'a'\n", "isolation", "[aws]\nprofile = 'a'\n"),
        ("aws.profile = 'a'\n", "aws.profile", ""),
    ],
)  # fmt: skip
def test_a_key_is_taken_out_and_every_other_line_stays(
    tmp_path: Path, before: str, key: str, after: str
) -> None:
    file = tmp_path / "config.toml"
    file.write_text(before)
    assert unset_setting(file, key)
    assert file.read_text() == after
    assert not unset_setting(file, key)


def test_a_key_inside_a_table_on_one_line_is_left_to_a_person(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("aws = {profile = 'a', region = 'b'}\n")
    with pytest.raises(UsageError, match="cannot be changed from here"):
        unset_setting(file, "aws.region")
    assert file.read_text() == "aws = {profile = 'a', region = 'b'}\n"
    with pytest.raises(UsageError, match="no setting"):
        unset_setting(file, "aws.regoin")

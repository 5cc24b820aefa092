from __future__ import annotations

import stat
from pathlib import Path

import pytest

from core.errors import NotFoundError
from core.handover import Handover

SECRET = "sk-a-secret\nof two lines"


@pytest.fixture
def handover(tmp_path: Path) -> Handover:
    return Handover(tmp_path / "secrets")


def test_a_value_is_taken_once_and_its_file_is_gone(handover: Handover, tmp_path: Path) -> None:
    name = handover.leave(SECRET)
    assert SECRET not in name
    assert handover.take(name) == SECRET
    assert list((tmp_path / "secrets").iterdir()) == []
    with pytest.raises(NotFoundError, match="gone"):
        handover.take(name)


def test_only_the_account_can_read_it_meanwhile(handover: Handover, tmp_path: Path) -> None:
    path = tmp_path / "secrets" / handover.leave(SECRET)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("name", ["../mine", "mine", "/etc/passwd", "value-../mine", ""])
def test_a_name_that_was_not_given_out_reaches_no_file(
    handover: Handover, tmp_path: Path, name: str
) -> None:
    handover.leave(SECRET)
    mine = tmp_path / "mine"
    mine.write_text("mine")
    (tmp_path / "secrets" / "mine").write_text("a pane's")
    with pytest.raises(NotFoundError):
        handover.take(name)
    handover.withdraw(name)
    assert mine.read_text() == "mine"
    assert (tmp_path / "secrets" / "mine").exists()


def test_a_link_in_its_place_is_not_followed(handover: Handover, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("not yours")
    path = tmp_path / "secrets" / handover.leave(SECRET)
    path.unlink()
    path.symlink_to(other)
    with pytest.raises(NotFoundError):
        handover.take(path.name)
    assert other.read_text() == "not yours"


def test_a_withdrawn_value_is_gone_and_can_be_withdrawn_again(handover: Handover) -> None:
    name = handover.leave(SECRET)
    handover.withdraw(name)
    handover.withdraw(name)
    with pytest.raises(NotFoundError):
        handover.take(name)


def test_what_nobody_asks_for_any_more_is_cleared_away(handover: Handover, tmp_path: Path) -> None:
    wanted, forgotten = handover.leave("wanted"), handover.leave("forgotten")
    other = tmp_path / "secrets" / "pane-1"
    other.write_text("somebody else's")
    handover.clear({wanted})
    assert handover.take(wanted) == "wanted"
    assert other.exists()
    with pytest.raises(NotFoundError):
        handover.take(forgotten)

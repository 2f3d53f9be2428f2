"""A kill at any moment of a restore leaves a volume that the next start understands."""

from pathlib import Path

import pytest

from sandbox.volume import Staged, Volume, VolumeState

ENTRIES = (".dolt-data", "config", "mayor", "web")


class Killed(BaseException):
    """Stands for SIGKILL."""


def stage(volume: Volume) -> None:
    volume.clear_staging()
    for name in ENTRIES:
        (volume.staging / name).mkdir()
        (volume.staging / name / "restored").touch()
    (volume.staging / "mayor" / "town.json").write_text("{}")


def assert_whole(volume: Volume) -> None:
    assert volume.state() is VolumeState.WHOLE
    for name in ENTRIES:
        assert (volume.town / name / "restored").exists(), f"{name} did not arrive"


def test_a_volume_without_a_town_is_empty(tmp_path: Path) -> None:
    (tmp_path / "lost+found").mkdir()
    (tmp_path / "mayor").mkdir()

    assert Volume(tmp_path).state() is VolumeState.EMPTY


def test_a_town_on_the_volume_is_whole(town: Path) -> None:
    assert Volume(town).state() is VolumeState.WHOLE


def test_a_half_staged_town_is_none(tmp_path: Path) -> None:
    volume = Volume(tmp_path)
    stage(volume)

    assert volume.state() is VolumeState.EMPTY


def test_a_staged_town_is_moved_in(tmp_path: Path) -> None:
    volume = Volume(tmp_path)
    stage(volume)
    volume.mark_staged(Staged("20260217T120000Z", "why"))
    assert volume.state() is VolumeState.STAGED

    assert volume.move_in() == Staged("20260217T120000Z", "why")
    assert_whole(volume)


@pytest.mark.parametrize("renames", range(8))
def test_a_move_that_was_killed_is_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, renames: int
) -> None:
    """Kill it before each rename: the old entry set aside, the marker, then the four entries."""
    volume = Volume(tmp_path)
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "old").touch()
    stage(volume)
    volume.mark_staged(Staged("20260217T120000Z", None))
    real, left = Path.rename, renames

    def rename(self: Path, target: Path) -> Path:
        nonlocal left
        if left == 0:
            raise Killed
        left -= 1
        return real(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", rename)
        try:
            volume.move_in()
        except Killed:
            assert volume.state() is VolumeState.STAGED, "half a town was taken for a whole one"
        else:
            assert renames >= 6, "the kill did not happen"

    if renames < 6:
        Volume(tmp_path).move_in()
    assert_whole(volume)
    assert (tmp_path / ".sandbox" / "set-aside" / "20260217T120000Z" / "config" / "old").exists()
    assert not (tmp_path / "config" / "old").exists()


def test_an_install_that_was_killed_is_seen(tmp_path: Path) -> None:
    volume = Volume(tmp_path)
    volume.begin_install()
    (tmp_path / "mayor").mkdir()
    (tmp_path / "mayor" / "town.json").write_text("{}")
    assert volume.state() is VolumeState.INSTALLING

    volume.end_install()
    assert volume.state() is VolumeState.WHOLE

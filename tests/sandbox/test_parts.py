"""What a snapshot is made of: archives, bundles, databases; and the small helpers."""

import logging
import os
import socket
import tarfile
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox import archive, clock, databases, repositories, snapshot
from sandbox.errors import BackupError, CommandError, Corrupt, SettingsError
from sandbox.gt import Gt
from sandbox.heartbeat import send_heartbeat
from sandbox.log import set_up_logging
from sandbox.retention import shrank, to_delete
from sandbox.rigs import Rig, read_rigs
from sandbox.settings import Settings, read_settings
from sandbox.store import StoredSnapshot
from sandbox.sync import Synced

from .world import git, write

NOON = datetime(2026, 2, 17, 12, 0, tzinfo=UTC)
MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC))


class TestArchive:
    @pytest.mark.parametrize(
        ("path", "expected"),
        [
            ("daemon/daemon.pid", True),
            ("daemon/daemon.lock", True),
            (".beads/bd.sock", True),
            (".dolt/noms/LOCK", True),
            (".dolt/sql-server.info", True),
            (".runtime/pids/web-nux", True),
            (".runtime/heartbeats/web-nux.json", False),
            ("config/pids/list.txt", False),
            ("config/locksmith.txt", False),
        ],
    )
    def test_pids_locks_and_sockets_are_known_by_name(self, path: str, expected: bool) -> None:
        assert archive.is_transient(PurePosixPath(path)) is expected

    def test_sockets_and_pipes_are_left_out_whatever_their_name(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write(tmp_path / "d" / "file", "x")
        os.mkfifo(tmp_path / "d" / "pipe")
        monkeypatch.chdir(tmp_path)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("d/listener")
            archive.write_tar(tmp_path / "out.tar", tmp_path, [tmp_path / "d"])

        with tarfile.open(tmp_path / "out.tar") as tar:
            assert tar.getnames() == ["d", "d/file"]

    def test_the_same_files_make_the_same_bytes(self, tmp_path: Path, town: Path) -> None:
        for name in ("one", "two"):
            archive.write_tar(tmp_path / name, town, snapshot.config_roots(town))

        assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()

    def test_links_and_modes_come_back(self, tmp_path: Path) -> None:
        source = tmp_path / "source"
        write(source / "d" / "run.sh", "x").chmod(0o755)
        (source / "d" / "link").symlink_to("run.sh")
        archive.write_tar(tmp_path / "out.tar", source, [source / "d"])

        archive.unpack(tmp_path / "out.tar", tmp_path / "target")

        target = tmp_path / "target" / "d"
        assert os.access(target / "run.sh", os.X_OK)
        assert (target / "link").readlink() == Path("run.sh")

    def test_a_name_that_leads_out_is_corruption(self, tmp_path: Path) -> None:
        with tarfile.open(tmp_path / "bad.tar", "w") as tar:
            tar.addfile(tarfile.TarInfo("../outside"))

        with pytest.raises(Corrupt, match=r"bad\.tar can't be unpacked"):
            archive.unpack(tmp_path / "bad.tar", tmp_path / "target")
        assert not (tmp_path / "outside").exists()


class TestSnapshot:
    def test_the_parts_of_a_town(self, town: Path) -> None:
        assert [part.path for part in snapshot.parts_of(town)] == [
            "dolt/hq.backup",
            "dolt/web.backup",
            "git/web.bundle",
            "config.tar",
            "runtime.tar",
        ]

    def test_config_holds_what_the_spec_lists(self, town: Path, tmp_path: Path) -> None:
        write(town / "web" / "source.py", "not config")
        write(town / ".hidden" / "config.json", "{}")
        archive.write_tar(tmp_path / "config.tar", town, snapshot.config_roots(town))

        with tarfile.open(tmp_path / "config.tar") as tar:
            files = [entry.name for entry in tar.getmembers() if entry.isfile()]
        assert files == [
            ".beads/issues.jsonl",
            "config/note.txt",
            "mayor/rigs.json",
            "mayor/town.json",
            "settings/config.json",
            "web/config.json",
            "web/settings/agents.json",
        ]

    def test_an_empty_repository_is_left_out(self, town: Path) -> None:
        rigs = '{"rigs": {"new": {}, "planned": {}}}'
        (town / "mayor" / "rigs.json").write_text(rigs)
        git(town, "init", "-q", "--bare", str(town / "new" / ".repo.git"))

        paths = [part.path for part in snapshot.parts_of(town)]

        assert [path for path in paths if path.startswith("git/")] == []

    def test_unreadable_rigs_stop_the_backup(self, town: Path) -> None:
        """A snapshot without the repositories would look complete."""
        (town / "mayor" / "rigs.json").write_text('{"rigs": {"web": ')

        with pytest.raises(BackupError, match=r"rigs\.json"):
            snapshot.parts_of(town)

    def test_a_rig_outside_the_town_stops_the_backup(self, town: Path) -> None:
        (town / "mayor" / "rigs.json").write_text('{"rigs": {"../../etc": {}}}')

        with pytest.raises(BackupError):
            read_rigs(town)

    def test_rigs_are_read(self, town: Path) -> None:
        assert read_rigs(town) == [Rig("web", "https://example.test/web.git", "web")]


class TestDatabases:
    def test_without_dolt_the_folder_is_kept(self, town: Path, tmp_path: Path) -> None:
        databases.back_up(town, "hq", tmp_path / "hq.backup")
        databases.restore(tmp_path / "hq.backup", tmp_path / "new", "hq")

        manifest = tmp_path / "new" / ".dolt-data" / "hq" / ".dolt" / "noms" / "manifest"
        assert manifest.read_text() == "5:hq"

    def test_with_dolt_its_own_backup_is_kept(
        self, town: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A stand-in dolt that knows `backup sync-url URL` and `backup restore URL NAME`."""
        script = """#!/bin/sh
path="${3#file://}"
case "$2" in
sync-url) mkdir -p "$path" && cp .dolt/noms/manifest "$path/manifest" ;;
restore) mkdir -p "$4/.dolt/noms" && cp "$path/manifest" "$4/.dolt/noms/manifest" ;;
esac
"""
        write(tmp_path / "bin" / "dolt", script).chmod(0o755)
        with monkeypatch.context() as patch:
            patch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
            databases.back_up(town, "hq", tmp_path / "hq.backup")
            databases.restore(tmp_path / "hq.backup", tmp_path / "new", "hq")

        manifest = tmp_path / "new" / ".dolt-data" / "hq" / ".dolt" / "noms" / "manifest"
        assert manifest.read_text() == "5:hq"
        with pytest.raises(CommandError, match="dolt is not installed here"):
            databases.restore(tmp_path / "hq.backup", tmp_path / "other", "hq")

    def test_something_else_is_corruption(self, tmp_path: Path) -> None:
        write(tmp_path / "hq.backup", "no tar at all")

        with pytest.raises(Corrupt):
            databases.restore(tmp_path / "hq.backup", tmp_path / "new", "hq")

    def test_only_databases_count(self, town: Path) -> None:
        (town / ".dolt-data" / "tmp").mkdir()
        write(town / ".dolt-data" / "config.yaml", "")

        assert databases.database_names(town) == ["hq", "web"]


def test_a_broken_bundle_is_corruption(tmp_path: Path) -> None:
    write(tmp_path / "web.bundle", "no bundle")

    with pytest.raises(Corrupt, match=r"web\.bundle can't be cloned"):
        repositories.restore_bundle(tmp_path / "web.bundle", tmp_path / "web" / "r.git", None)


class TestClock:
    @given(MOMENTS, st.lists(MOMENTS, max_size=5))
    def test_the_next_name_is_greater_than_all(
        self, moment: datetime, taken: list[datetime]
    ) -> None:
        names = [clock.stamp(one) for one in taken]
        name = clock.next_stamp(moment, names)

        assert all(name > one for one in names)
        assert name >= clock.stamp(moment)
        assert clock.parse_stamp(name) is not None

    def test_other_folders_are_no_snapshots(self) -> None:
        for text in ("20260230T120000Z", "2026-02-17", "20260217T120000Z/", None, 7):
            assert clock.parse_stamp(text) is None


class TestRetention:
    def stored(self, *names: str, held: str = "", rests: str = "") -> list[StoredSnapshot]:
        return [StoredSnapshot(n, (), n not in rests.split(), n in held.split()) for n in names]

    def gone(self, snapshots: list[StoredSnapshot], latest: str, current: str) -> list[str]:
        return [one.timestamp for one in to_delete(snapshots, latest, current)]

    def test_the_one_that_latest_points_to_is_always_kept(self) -> None:
        assert self.gone(self.stored("1", "2", "3", "4", "5"), "1", "5") == ["2"]

    def test_an_upload_that_is_newer_is_let_be(self) -> None:
        snapshots = self.stored("1", "2", "3", rests="1 3")
        assert self.gone(snapshots, "2", "2") == ["1"]

    def test_held_ones_push_no_good_one_out(self) -> None:
        snapshots = self.stored("1", "2", "3", "4", "5", "6", "7", "8", held="4 5 6 7 8")
        assert self.gone(snapshots, "3", "8") == ["5", "6"]

    @pytest.mark.parametrize(
        ("size", "previous", "expected"), [(20, 100, False), (19, 100, True), (0, 0, False)]
    )
    def test_less_than_a_fifth_is_too_little(
        self, size: int, previous: int, expected: bool
    ) -> None:
        assert shrank(size, previous) is expected


class TestSettings:
    required = {"TOWN_ID": "t", "GT_HOME": "/data"}

    def test_the_defaults(self) -> None:
        settings = read_settings(self.required)

        assert (settings.port, settings.dolt_port, settings.generation) == (8080, 3307, 1)
        assert (settings.sync_interval, settings.host) == (300.0, "")
        assert settings.scratch == Path("/data/.sandbox/scratch")

    def test_the_prefix_is_the_towns(self) -> None:
        names = ("R2_ENDPOINT", "R2_BUCKET", "R2_ACCESS_KEY", "R2_SECRET_KEY")
        settings = read_settings({**self.required, **dict.fromkeys(names, "x")})

        assert settings.r2 is not None
        assert settings.r2.prefix == "gastown/t"

    def test_scratch_space_is_a_folder_of_its_own(self) -> None:
        settings = read_settings({**self.required, "SCRATCH_DIR": "/var/tmp"})

        assert settings.scratch == Path("/var/tmp/sandbox-t")

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("SYNC_INTERVAL_SECONDS", "0"),
            ("SYNC_INTERVAL_SECONDS", "nan"),
            ("GENERATION", "-1"),
            ("PORT", "http"),
            ("GT_HOME", "data"),
        ],
    )
    def test_senseless_values_are_named(self, name: str, text: str) -> None:
        with pytest.raises(SettingsError, match=name):
            read_settings({**self.required, name: text})

    def test_secrets_are_not_shown(self) -> None:
        names = ("R2_ENDPOINT", "R2_BUCKET", "R2_ACCESS_KEY", "R2_SECRET_KEY", "INTERNAL_API_KEY")
        environment = {**self.required, **{name: f"value-of-{name}" for name in names}}
        settings = read_settings(environment)

        assert "KEY" not in repr(settings).upper().replace("API_KEY", "")
        assert len(settings.secrets) == 3


def test_state_changing_gt_commands_run_one_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = f"#!/bin/sh\nmkdir {tmp_path}/busy || exit 1\nrmdir {tmp_path}/busy\n"
    write(tmp_path / "bin" / "gt", script).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    gt = Gt(tmp_path, 10)
    failures: list[CommandError] = []

    def change() -> None:
        try:
            for _ in range(5):
                gt.up()
        except CommandError as error:
            failures.append(error)

    threads = [threading.Thread(target=change) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []


def test_gt_that_is_missing_or_hangs_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CommandError, match="gt up can't be run: No such file"):
        Gt(tmp_path, 5).up()

    write(tmp_path / "gt", "#!/bin/sh\nexec /bin/sleep 60\n").chmod(0o755)
    with pytest.raises(CommandError, match=r"gt down did not end within 0\.1 s"):
        Gt(tmp_path, 0.1).down_all()


@pytest.mark.parametrize("url", ["", "http://127.0.0.1:1", "no url"])
def test_a_heartbeat_that_fails_does_no_harm(url: str) -> None:
    settings = Settings("t", Path("/data"), "key", control_plane_url=url)
    synced = Synced("20260217T120000Z", 1, 1, 1, NOON + timedelta(), None)

    assert send_heartbeat(settings, synced) is False


def test_secrets_are_blotted_out_of_the_log(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level

    def crash() -> None:
        raise RuntimeError("s3cret in a traceback")

    try:
        set_up_logging(["s3cret"])
        logging.getLogger("x").error("the key is %s", "s3cret")
        thread = threading.Thread(target=crash, name="agent")
        thread.start()
        thread.join()
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)

    output = capsys.readouterr().err
    assert "the key is ***" in output
    assert "agent crashed" in output
    assert "RuntimeError: *** in a traceback" in output
    assert "s3cret" not in output

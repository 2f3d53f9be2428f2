"""Starting and ending: state is kept, and no process stays."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from localcloud import processes
from localcloud.harness import running_localcloud
from tests.localcloud.conftest import Api, until

pytestmark = pytest.mark.e2e


def left_over(directory: Path) -> list[int]:
    return processes.find(processes.marks(directory))


def test_a_second_start_has_the_same_machines_volumes_and_objects(tmp_path: Path) -> None:
    with running_localcloud(tmp_path) as cloud:
        api = Api(cloud)
        town = api.town("kept")
        until(lambda: api.is_well(town["id"]), "the town is well")
        api.cloud.ctl.write(town["id"], "notes", "kept")
        api.s3().put_object(Bucket=cloud.r2_bucket, Key="a/b c.json", Body=b"kept")
    assert left_over(tmp_path) == []
    with running_localcloud(tmp_path) as cloud:
        api = Api(cloud)
        until(lambda: api.is_well(town["id"]), "the town is well again")
        assert api.cloud.ctl.read(town["id"], "notes") == "kept"
        found = api.s3().get_object(Bucket=cloud.r2_bucket, Key="a/b c.json")["Body"].read()
        assert found == b"kept"
    assert left_over(tmp_path) == []


def test_killed_outright_it_leaves_no_process_and_loses_no_object(tmp_path: Path) -> None:
    with running_localcloud(tmp_path) as cloud:
        api = Api(cloud)
        town = api.town("orphan")
        until(lambda: api.is_well(town["id"]), "the town is well")
        api.s3().put_object(Bucket=cloud.r2_bucket, Key="k", Body=b"acknowledged")
        os.kill(cloud.pid, signal.SIGKILL)
        until(lambda: left_over(tmp_path) == [], "no process is left")
    with running_localcloud(tmp_path) as cloud:
        api = Api(cloud)
        assert api.s3().get_object(Bucket=cloud.r2_bucket, Key="k")["Body"].read() == (
            b"acknowledged"
        )


def test_conditional_writes_are_kept_to(tmp_path: Path) -> None:
    with running_localcloud(tmp_path) as cloud:
        s3 = Api(cloud).s3()
        put = {"Bucket": cloud.r2_bucket, "Key": "latest.json"}
        etag = s3.put_object(**put, Body=b"1", IfNoneMatch="*")["ETag"]
        with pytest.raises(s3.exceptions.ClientError, match="PreconditionFailed"):
            s3.put_object(**put, Body=b"2", IfNoneMatch="*")
        s3.put_object(**put, Body=b"2", IfMatch=etag)
        with pytest.raises(s3.exceptions.ClientError, match="PreconditionFailed"):
            s3.put_object(**put, Body=b"3", IfMatch=etag)


def test_two_in_one_folder_are_refused_with_one_line(tmp_path: Path) -> None:
    with running_localcloud(tmp_path):
        done = subprocess.run(
            [sys.executable, "-m", "localcloud", "--dir", str(tmp_path), "--port", "0"],
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    [line] = done.stderr.strip().splitlines()
    assert line.startswith("localcloud: another local cloud runs in")


def test_a_port_that_is_taken_is_one_line(tmp_path: Path) -> None:
    with running_localcloud(tmp_path / "a") as cloud:
        port = cloud.fly_api_url.rsplit(":", 1)[1].split("/")[0]
        done = subprocess.run(
            [sys.executable, "-m", "localcloud", "--dir", str(tmp_path / "b"), "--port", port],
            capture_output=True,
            text=True,
            check=False,
        )
    assert (done.returncode, len(done.stderr.strip().splitlines())) == (1, 1)
    assert f"--port {port}" in done.stderr


def test_rate_limits_are_kept_to(tmp_path: Path) -> None:
    with running_localcloud(tmp_path, rate=1.0) as cloud:
        api = Api(cloud)
        answers = [api.call("GET", "/machines") for _ in range(5)]
        limited = [answer for answer in answers if answer.status_code == 429]
        assert limited
        assert int(limited[0].headers["Retry-After"]) >= 1


def test_ctl_says_in_one_line_that_nobody_is_there() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "localcloud", "ctl", "--port", "1", "status"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("localcloud ctl: no local cloud answers at http://127.0.0.1:1")

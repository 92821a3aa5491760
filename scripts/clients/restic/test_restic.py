"""restic: backups, restores compared byte by byte, checks that read everything, prune, locks."""

import json
import os
import shutil
import subprocess
import time

import boto3
import pytest
from botocore.client import Config

import kit


class Repository:
    """A repository in a bucket of its own; run() runs restic on it."""

    def __init__(self, bucket, cache):
        self.env = {
            **os.environ,
            "RESTIC_REPOSITORY": f"s3:{kit.ENDPOINT}/{bucket}/backups",
            "RESTIC_PASSWORD": "a test's password",
            "RESTIC_CACHE_DIR": str(cache),
        }

    def start(self, *arguments, **named):
        return subprocess.Popen(
            ["restic", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.env, **named
        )

    def run(self, *arguments, data=b"", fails=False):
        """Runs restic and returns its standard output, or its standard error when it must fail."""
        process = self.start(*arguments, stdin=subprocess.PIPE)
        out, err = process.communicate(data, timeout=240)
        assert (process.returncode != 0) == fails, (arguments, process.returncode, out[-1000:], err[-2000:])
        return err.decode() if fails else out.decode()

    def backup(self, path):
        """Backs up and returns restic's summary."""
        return json.loads(self.run("backup", "--json", str(path)).splitlines()[-1])

    def restored(self, snapshot, path, into):
        """Restores a snapshot of path and returns its files."""
        self.run("restore", snapshot, "--target", str(into), "--verify")
        return files(into / path.relative_to("/"))

    def count(self, kind):
        return len(self.run("list", "--no-lock", kind).split())


def files(root):
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


@pytest.fixture
def s3():
    return boto3.client("s3", endpoint_url=kit.ENDPOINT, config=Config(s3={"addressing_style": "path"}))


@pytest.fixture
def bucket(s3):
    """The name of a bucket that does not exist: `restic init` makes it."""
    name = kit.bucket_name("restic")
    yield name
    kit.empty_bucket(s3, name)


@pytest.fixture
def repository(bucket, tmp_path):
    made = Repository(bucket, tmp_path / "cache")
    made.run("init")
    return made


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "tree"
    for i in range(100):
        name = root / f"d{i % 7}" / f"f {i} \u00e9&+.bin"
        name.parent.mkdir(parents=True, exist_ok=True)
        name.write_bytes(kit.payload(i * 997, i))
    (root / "big.bin").write_bytes(kit.payload(20 * kit.MIB + 3))
    (root / "empty").write_bytes(b"")
    (root / "zeros").write_bytes(bytes(9 * kit.MIB))
    return root


def test_backup_and_restore(repository, tree, tmp_path):
    """Two snapshots; the second stores only what is new; both come back as they were."""
    before = files(tree)
    first = repository.backup(tree)
    (tree / "d0/new.bin").write_bytes(kit.payload(3 * kit.MIB, 9))
    (tree / "empty").unlink()
    after = files(tree)
    second = repository.backup(tree)
    assert first["files_new"] == len(before) and second["files_new"] == 1
    assert 3 * kit.MIB < second["data_added"] < 5 * kit.MIB < 20 * kit.MIB < first["data_added"]
    shutil.rmtree(tmp_path / "cache")  # from here on everything comes from the server
    repository.run("check", "--read-data")
    assert repository.restored(first["snapshot_id"], tree, tmp_path / "1") == before
    assert repository.restored("latest", tree, tmp_path / "2") == after


def test_forget_and_prune(s3, repository, bucket, tree, tmp_path):
    """What no snapshot needs any more is deleted, half used packs are written again, the rest is whole."""

    def stored():
        return sum(o["Size"] for o in s3.list_objects_v2(Bucket=bucket, Prefix="backups/data/")["Contents"])

    old = repository.backup(tree)["snapshot_id"]
    for name in sorted(tree.glob("d*/*"))[::2] + [tree / "big.bin"]:
        name.write_bytes(kit.payload(1000, str(name)))
    repository.backup(tree)
    before = stored()
    repository.run("forget", "--keep-last", "1", "--prune", "--max-unused", "0")
    assert stored() < before - 20 * kit.MIB and repository.count("snapshots") == 1
    repository.run("check", "--read-data")
    assert repository.restored("latest", tree, tmp_path / "r") == files(tree)
    repository.run("restore", old, "--target", str(tmp_path / "gone"), fails=True)


def test_concurrent_backups(repository, tree, tmp_path):
    """Backups share the lock; each ends with a whole snapshot."""
    running = [repository.start("backup", "--json", str(tree)) for _ in range(3)]
    for process in running:
        out, err = process.communicate(timeout=240)
        assert process.returncode == 0, err
        snapshot = json.loads(out.splitlines()[-1])["snapshot_id"]
        assert repository.restored(snapshot, tree, tmp_path / snapshot) == files(tree)
    repository.run("check", "--read-data")


def wait_for(true):
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_lock(repository):
    """Prune is refused while a backup runs; the lock of a backup that was killed can be taken away."""
    running = repository.start("backup", "--stdin", stdin=subprocess.PIPE)
    wait_for(lambda: repository.count("locks") == 1)
    assert "already locked" in repository.run("prune", fails=True)
    repository.run("unlock")  # removes no lock of a process that lives
    assert "already locked" in repository.run("prune", fails=True)
    running.communicate(b"from a pipe", timeout=60)
    assert running.returncode == 0 and repository.count("locks") == 0
    repository.run("prune")
    assert repository.run("dump", "latest", "stdin") == "from a pipe"

    running = repository.start("backup", "--stdin", stdin=subprocess.PIPE)
    wait_for(lambda: repository.count("locks") == 1)
    running.kill()
    running.communicate()
    repository.run("unlock")
    assert repository.count("locks") == 0


def test_check_finds_damage(s3, repository, bucket, tree):
    """check --read-data reads what is stored: one flipped bit of one pack fails it."""
    repository.backup(tree)
    pack = max(s3.list_objects_v2(Bucket=bucket, Prefix="backups/data/")["Contents"], key=lambda o: o["Size"])["Key"]
    data = bytearray(s3.get_object(Bucket=bucket, Key=pack)["Body"].read())
    data[1000] ^= 1
    s3.put_object(Bucket=bucket, Key=pack, Body=bytes(data))
    repository.run("check", "--read-data", fails=True)

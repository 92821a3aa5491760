"""rclone: copy, sync, check, hashsum, rcat, move, multipart, against a remote given by environment."""

import json
import os
import subprocess
import urllib.request

import pytest

import kit

REMOTE = {
    "RCLONE_CONFIG": "/dev/null",
    "RCLONE_CONFIG_WEFT_TYPE": "s3",
    "RCLONE_CONFIG_WEFT_PROVIDER": "Other",
    "RCLONE_CONFIG_WEFT_ENDPOINT": kit.ENDPOINT,
    "RCLONE_CONFIG_WEFT_ACCESS_KEY_ID": kit.ACCESS,
    "RCLONE_CONFIG_WEFT_SECRET_ACCESS_KEY": kit.SECRET,
    "RCLONE_CONFIG_WEFT_REGION": kit.REGION,
    "RCLONE_CONFIG_WEFT_FORCE_PATH_STYLE": "true",
    "RCLONE_RETRIES": "1",
    "RCLONE_LOW_LEVEL_RETRIES": "1",
}


def rclone(*arguments, data=None, fails=False):
    """Runs rclone and returns its standard output as bytes."""
    done = subprocess.run(["rclone", *arguments], input=data, capture_output=True, timeout=240, env={**os.environ, **REMOTE})
    assert (done.returncode != 0) == fails, (arguments, done.returncode, done.stdout[-500:], done.stderr[-2000:])
    return done.stdout


@pytest.fixture
def bucket():
    name = "weft:" + kit.bucket_name("rclone")
    rclone("mkdir", name)
    yield name
    rclone("purge", name)


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "tree"
    return root, kit.write_tree(root, 23 * kit.MIB + 5)


PARTS = ("--s3-upload-cutoff", "8M", "--s3-chunk-size", "8M")


def test_copy_check_hash(bucket, tree, tmp_path):
    root, files = tree
    rclone("copy", *PARTS, str(root), f"{bucket}/t")
    assert sorted(rclone("lsf", "-R", "--files-only", f"{bucket}/t").decode().splitlines()) == sorted(files)
    rclone("check", str(root), f"{bucket}/t")  # sizes and MD5; rclone stores the MD5 of a multipart object as metadata
    rclone("check", "--download", str(root), f"{bucket}/t")
    sums = dict(reversed(line.split("  ", 1)) for line in rclone("hashsum", "MD5", f"{bucket}/t").decode().splitlines())
    assert sums == {name: kit.md5(data) for name, data in files.items()}
    rclone("copy", f"{bucket}/t", str(tmp_path / "back"))
    assert {str(p.relative_to(tmp_path / "back")): p.read_bytes() for p in (tmp_path / "back").rglob("*") if p.is_file()} == files


def test_check_sees_a_difference(bucket, tree):
    root, _ = tree
    rclone("copy", str(root), f"{bucket}/t")
    (root / "a.txt").write_bytes(b"b")
    rclone("check", "--download", str(root), f"{bucket}/t", fails=True)


def test_sync_keeps_times_and_deletes(bucket, tree):
    root, files = tree
    os.utime(root / "a.txt", (1_700_000_000, 1_700_000_000))
    rclone("sync", *PARTS, str(root), f"{bucket}/s")
    entry = json.loads(rclone("lsjson", f"{bucket}/s/a.txt"))[0]
    assert entry["ModTime"].startswith("2023-11-14T22:13:20")
    (root / "empty").unlink()
    (root / "new").write_bytes(b"new")
    rclone("sync", str(root), f"{bucket}/s")
    names = rclone("lsf", "-R", "--files-only", f"{bucket}/s").decode().splitlines()
    assert sorted(names) == sorted([n for n in files if n != "empty"] + ["new"])


def test_rcat_and_cat(bucket):
    """rcat streams an unknown size: small ones buffered, large ones as multipart."""
    for size in (0, 100, 12 * kit.MIB):
        body = kit.payload(size)
        rclone("rcat", *PARTS, f"{bucket}/piped", data=body)
        assert rclone("cat", f"{bucket}/piped") == body
    assert rclone("cat", "--offset", "1000", "--count", "70000", f"{bucket}/piped") == body[1000:71000]


def test_server_side_copy_and_move(bucket, tree):
    root, files = tree
    rclone("copy", *PARTS, str(root), f"{bucket}/one")
    rclone("copy", "--s3-copy-cutoff", "8M", f"{bucket}/one", f"{bucket}/two")  # big.bin by UploadPartCopy
    rclone("check", "--download", str(root), f"{bucket}/two")
    rclone("moveto", f"{bucket}/two/a.txt", f"{bucket}/three/renamed.txt")
    assert rclone("cat", f"{bucket}/three/renamed.txt") == files["a.txt"]
    rclone("delete", f"{bucket}/two")
    assert rclone("lsf", "-R", "--files-only", f"{bucket}/two") == b""


def test_list_directories(bucket, tree):
    root, files = tree
    rclone("copy", str(root), f"{bucket}/l")
    assert sorted(rclone("lsf", f"{bucket}/l").decode().splitlines()) == ["a.txt", "big.bin", "dir/", "empty"]
    size = json.loads(rclone("size", "--json", f"{bucket}/l"))
    assert (size["count"], size["bytes"]) == (len(files), sum(map(len, files.values())))


def test_link_is_presigned(bucket):
    rclone("rcat", f"{bucket}/linked", data=b"by link")
    url = rclone("link", "--expire", "1m", f"{bucket}/linked").decode().strip()
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == b"by link"

"""s3cmd: transfers whole and in parts, sync both ways, copies, metadata, tags, bucket settings, access control lists."""

import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

import kit

S3CMD = os.path.join(os.path.dirname(sys.executable), "s3cmd")


@pytest.fixture(scope="module")
def s3cmd(tmp_path_factory):
    """s3cmd(*arguments) runs s3cmd once, without retries, and returns its standard output as text."""
    config = tmp_path_factory.mktemp("s3cmd") / "config"
    config.write_text(
        f"[default]\naccess_key = {kit.ACCESS}\nsecret_key = {kit.SECRET}\nbucket_location = {kit.REGION}\n"
        f"host_base = {kit.HOST}:{kit.PORT}\nhost_bucket = {kit.HOST}:{kit.PORT}\nuse_https = False\n"
    )

    def run(*arguments, data=None, fails=False):
        done = subprocess.run(
            [sys.executable, S3CMD, "--config", config, "--max-retries", "0", *map(str, arguments)],
            input=data,
            capture_output=True,
            timeout=240,
        )
        assert (done.returncode != 0) == fails, (arguments, done.returncode, done.stdout[-500:], done.stderr[-2000:])
        return done.stderr.decode() if fails else done.stdout.decode()

    return run


@pytest.fixture
def bucket(s3cmd):
    """The s3:// name of a bucket, emptied and deleted after the test."""
    name = "s3://" + kit.bucket_name("s3cmd")
    s3cmd("mb", name)
    yield name
    s3cmd("rb", "--recursive", "--force", name)


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "tree"
    return root, kit.write_tree(root, 11 * kit.MIB + 5)


PARTS = ("--multipart-chunk-size-mb", 5)


def on_disk(root):
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def names(s3cmd, url):
    """The keys under url, without url."""
    lines = s3cmd("ls", "--recursive", url).splitlines()
    return sorted(line.split("s3://", 1)[1].removeprefix(url.removeprefix("s3://")).lstrip("/") for line in lines)


def info(s3cmd, url):
    """What `s3cmd info` says, as a dictionary of its lines."""
    return dict(
        (k.strip(), v.strip()) for k, _, v in (line.partition(":") for line in s3cmd("info", url).splitlines()[1:])
    )


def test_buckets(s3cmd, bucket):
    assert bucket in s3cmd("ls")
    assert info(s3cmd, bucket + "/")["Location"] == kit.REGION
    s3cmd("mb", "s3://No_Bucket", fails=True)
    assert "NoSuchBucket" in s3cmd("ls", "s3://" + kit.bucket_name("none"), fails=True)


@pytest.mark.parametrize("size", [0, 1, 70000, 11 * kit.MIB + 5])
def test_put_get(s3cmd, bucket, tmp_path, size):
    """s3cmd itself compares MD5 and ETag; above 5 MiB with the MD5 that it stores as metadata."""
    (tmp_path / "in").write_bytes(kit.payload(size))
    s3cmd("put", *PARTS, tmp_path / "in", f"{bucket}/k")
    s3cmd("get", f"{bucket}/k", tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == kit.payload(size)
    assert info(s3cmd, f"{bucket}/k")["MD5 sum"] == kit.md5(kit.payload(size))


def test_pipes_and_continued_get(s3cmd, bucket, tmp_path):
    body = kit.payload(12 * kit.MIB)
    s3cmd("put", *PARTS, "-", f"{bucket}/piped", data=body)
    (tmp_path / "half").write_bytes(body[: 5 * kit.MIB + 1])
    s3cmd("get", "--continue", f"{bucket}/piped", tmp_path / "half")
    assert (tmp_path / "half").read_bytes() == body


def test_sync_both_ways(s3cmd, bucket, tree, tmp_path):
    root, files = tree
    s3cmd("sync", *PARTS, f"{root}/", f"{bucket}/t/")
    assert names(s3cmd, f"{bucket}/t") == sorted(files)
    assert s3cmd("sync", *PARTS, f"{root}/", f"{bucket}/t/") == ""  # nothing to do
    (root / "a.txt").write_bytes(b"b")
    (root / "empty").unlink()
    sent = s3cmd("sync", *PARTS, "--delete-removed", f"{root}/", f"{bucket}/t/")
    assert re.findall(r"^(upload|delete): .*/(\S+)'", sent, re.M) == [("delete", "empty"), ("upload", "a.txt")], sent
    s3cmd("sync", f"{bucket}/t/", f"{tmp_path}/back/")
    assert on_disk(tmp_path / "back") == on_disk(root)
    (tmp_path / "back/a.txt").write_bytes(b"changed")
    (tmp_path / "back/extra").write_bytes(b"extra")
    s3cmd("sync", "--delete-removed", f"{bucket}/t/", f"{tmp_path}/back/")
    assert on_disk(tmp_path / "back") == on_disk(root)
    s3cmd("sync", f"{bucket}/t/", f"{bucket}/u/")  # server to server
    assert names(s3cmd, f"{bucket}/u") == names(s3cmd, f"{bucket}/t")


def test_recursive_put_get_del(s3cmd, bucket, tree, tmp_path):
    root, files = tree
    s3cmd("put", "--recursive", *PARTS, root, f"{bucket}/r/")
    assert names(s3cmd, f"{bucket}/r/tree") == sorted(files)
    assert s3cmd("du", f"{bucket}/r").split()[:2] == [str(sum(map(len, files.values()))), str(len(files))]
    top = s3cmd("ls", f"{bucket}/r/tree/")
    assert f"DIR  {bucket}/r/tree/dir/" in top and "\u6f22" not in top
    (tmp_path / "got").mkdir()
    s3cmd("get", "--recursive", f"{bucket}/r/tree/", f"{tmp_path}/got/")
    assert on_disk(tmp_path / "got") == files
    s3cmd("del", "--recursive", "--exclude", "*.txt", f"{bucket}/r/")
    assert names(s3cmd, f"{bucket}/r/tree") == ["a.txt"]


def test_copy_move_modify(s3cmd, bucket, tmp_path):
    body = kit.payload(6 * kit.MIB)
    (tmp_path / "in").write_bytes(body)
    s3cmd("put", "--add-header", "x-amz-meta-run:7", "--mime-type", "application/x-thing", tmp_path / "in", f"{bucket}/a")
    s3cmd("cp", f"{bucket}/a", f"{bucket}/b b")
    s3cmd("cp", "--multipart-chunk-size-mb", 5, f"{bucket}/a", f"{bucket}/parts")  # by UploadPartCopy
    s3cmd("mv", f"{bucket}/b b", f"{bucket}/c")
    assert names(s3cmd, bucket) == ["a", "c", "parts"]
    for key in ("c", "parts"):
        s3cmd("get", "--force", f"{bucket}/{key}", tmp_path / "out")
        assert (tmp_path / "out").read_bytes() == body
        told = info(s3cmd, f"{bucket}/{key}")
        assert (told["x-amz-meta-run"], told["MIME type"]) == ("7", "application/x-thing")
    s3cmd("modify", "--add-header", "x-amz-meta-run:8", "--mime-type", "text/plain", f"{bucket}/c")
    told = info(s3cmd, f"{bucket}/c")
    assert (told["x-amz-meta-run"], told["MIME type"]) == ("8", "text/plain")


def test_signed_url_is_refused(s3cmd, bucket, tmp_path):
    """signurl knows SigV2 alone, whatever the configuration says; the answer names what is accepted."""
    (tmp_path / "in").write_bytes(b"by link")
    s3cmd("put", tmp_path / "in", f"{bucket}/linked")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(s3cmd("signurl", f"{bucket}/linked", "+60").strip())
    assert refused.value.code == 400 and b"AWS4-HMAC-SHA256" in refused.value.read()


def test_tagging(s3cmd, bucket, tmp_path):
    (tmp_path / "in").write_bytes(b"t")
    s3cmd("put", tmp_path / "in", f"{bucket}/t")
    for url in (bucket, f"{bucket}/t"):
        s3cmd("settagging", url, "run=7&team=blue")
        told = s3cmd("gettagging", url)
        assert "run:\t7" in told and "team:\tblue" in told, told
        s3cmd("deltagging", url)
    assert "NoSuchTagSet" in s3cmd("gettagging", bucket, fails=True)
    assert "run" not in s3cmd("gettagging", f"{bucket}/t")


def test_versions(s3cmd, bucket, tmp_path):
    s3cmd("setversioning", bucket, "enable")
    assert info(s3cmd, bucket + "/")["Versioning"] == "Enabled"
    s3cmd("setversioning", bucket, "disable")


def test_bucket_settings(s3cmd, bucket, tmp_path):
    rule = "<ID>x</ID><Filter><Prefix>tmp/</Prefix></Filter><Status>Enabled</Status><Expiration><Days>9</Days></Expiration>"
    (tmp_path / "lifecycle").write_text(f"<LifecycleConfiguration><Rule>{rule}</Rule></LifecycleConfiguration>")
    s3cmd("setlifecycle", tmp_path / "lifecycle", bucket)
    assert "<Days>9</Days>" in s3cmd("getlifecycle", bucket)
    s3cmd("dellifecycle", bucket)
    s3cmd("expire", "--expiry-days", 3, "--expiry-prefix", "old/", bucket)
    assert "expire in '3' day(s)" in info(s3cmd, bucket + "/")["Expiration Rule"]

    rule = "<AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod>"
    (tmp_path / "cors").write_text(f"<CORSConfiguration><CORSRule>{rule}</CORSRule></CORSConfiguration>")
    s3cmd("setcors", tmp_path / "cors", bucket)
    assert "<AllowedMethod>GET</AllowedMethod>" in s3cmd("info", bucket)
    s3cmd("delcors", bucket)

    name = bucket.removeprefix("s3://")
    statement = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{name}/open/*"}
    (tmp_path / "policy").write_text(json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    s3cmd("setpolicy", tmp_path / "policy", bucket)
    s3cmd("put", tmp_path / "policy", f"{bucket}/open/p")
    with urllib.request.urlopen(f"{kit.ENDPOINT}/{name}/open/p") as answer:
        assert answer.read() == (tmp_path / "policy").read_bytes()
    s3cmd("delpolicy", bucket)
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(f"{kit.ENDPOINT}/{name}/open/p")


def test_acl(s3cmd, bucket, tmp_path):
    """Refused while the bucket's owner owns all of it; with ObjectWriter a public object can be read by anybody."""
    (tmp_path / "in").write_bytes(b"public")
    name = bucket.removeprefix("s3://")
    s3cmd("setownership", bucket, "BucketOwnerEnforced")
    s3cmd("put", tmp_path / "in", f"{bucket}/o")
    assert "AccessControlListNotSupported" in s3cmd("setacl", "--acl-public", f"{bucket}/o", fails=True)
    s3cmd("setownership", bucket, "ObjectWriter")
    s3cmd("setacl", "--acl-public", f"{bucket}/o")
    assert "*anon*: READ" in s3cmd("info", f"{bucket}/o")
    with urllib.request.urlopen(f"{kit.ENDPOINT}/{name}/o") as answer:
        assert answer.read() == b"public"
    s3cmd("setacl", "--acl-private", f"{bucket}/o")
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(f"{kit.ENDPOINT}/{name}/o")
    s3cmd("put", "--acl-public", tmp_path / "in", f"{bucket}/p")
    with urllib.request.urlopen(f"{kit.ENDPOINT}/{name}/p") as answer:
        assert answer.read() == b"public"

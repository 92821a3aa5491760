"""aws cli (version 1, the one that PyPI has): the high-level s3 commands and some of s3api."""

import json
import os
import subprocess
import sys
import urllib.request

import pytest

import cli
import kit


def aws(*arguments, data=b"", fails=False):
    """Runs one aws command and returns its standard output as bytes; it must succeed, or fail if fails is set."""
    done = cli.run("--endpoint-url", kit.ENDPOINT, *arguments, data=data)
    assert (done.returncode != 0) == fails, (arguments, done.returncode, done.stdout[-500:], done.stderr[-2000:])
    return done.stderr if fails else done.stdout


@pytest.fixture(scope="module", autouse=True)
def configuration(tmp_path_factory):
    """Version 1 of the cli presigns with signature version 2 in us-east-1 unless told otherwise."""
    path = tmp_path_factory.mktemp("aws") / "config"
    path.write_text("[default]\ns3 =\n    signature_version = s3v4\n    addressing_style = path\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_CONFIG_FILE", str(path))
        yield


def api(operation, *arguments, **named):
    out = aws("s3api", operation, *arguments, **named)
    return json.loads(out) if out.strip() else {}


@pytest.fixture
def bucket():
    name = kit.bucket_name("cli")
    aws("s3", "mb", f"s3://{name}")
    yield name
    aws("s3", "rb", "--force", f"s3://{name}")


@pytest.fixture
def tree(tmp_path):
    """A small directory tree with one file above the multipart threshold."""
    files = {"a.txt": b"a", "dir/b.bin": kit.payload(70000), "dir/deep/c d.bin": kit.payload(9 * kit.MIB), "dir/\u00e9": b"", "z.log": b"z"}
    root = tmp_path / "tree"
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root, files


def same(root, files):
    found = {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}
    assert found == files


def test_command(bucket):
    """The command as it is installed."""
    command = os.path.join(os.path.dirname(sys.executable), "aws")
    done = subprocess.run([command, "--endpoint-url", kit.ENDPOINT, "s3", "ls"], capture_output=True, timeout=240, check=True)
    assert bucket.encode() in done.stdout


def test_copy_up_down(bucket, tmp_path):
    for size in (0, 1000, 8 * kit.MIB, 25 * kit.MIB + 1):
        source, back = tmp_path / "up", tmp_path / "down"
        source.write_bytes(kit.payload(size))
        aws("s3", "cp", str(source), f"s3://{bucket}/dir/object", "--no-progress")
        aws("s3", "cp", f"s3://{bucket}/dir/object", str(back), "--no-progress")
        assert back.read_bytes() == kit.payload(size)
    etag = api("head-object", "--bucket", bucket, "--key", "dir/object")["ETag"]
    assert etag.endswith('-4"')  # 8 MiB parts


def test_streams(bucket):
    """An upload from standard input has no known size: parts, then standard output."""
    for size in (10, 17 * kit.MIB):
        aws("s3", "cp", "-", f"s3://{bucket}/stream", data=kit.payload(size))
        assert aws("s3", "cp", f"s3://{bucket}/stream", "-") == kit.payload(size)


def test_recursive_copy_and_list(bucket, tree, tmp_path):
    root, files = tree
    aws("s3", "cp", "--recursive", "--no-progress", str(root), f"s3://{bucket}/t/")
    lines = aws("s3", "ls", "--recursive", f"s3://{bucket}/t/").decode().splitlines()
    assert sorted(line.split(maxsplit=3)[3] for line in lines) == sorted("t/" + n for n in files)
    top = aws("s3", "ls", f"s3://{bucket}/t/").decode()
    assert "PRE dir/" in top and "a.txt" in top and "deep" not in top
    summary = aws("s3", "ls", "--summarize", "--recursive", f"s3://{bucket}").decode()
    assert f"Total Objects: {len(files)}" in summary
    assert f"Total Size: {sum(map(len, files.values()))}" in summary
    aws("s3", "cp", "--recursive", "--no-progress", f"s3://{bucket}/t/", str(tmp_path / "back"))
    same(tmp_path / "back", files)


def test_sync(bucket, tree, tmp_path):
    root, files = tree
    aws("s3", "sync", "--no-progress", str(root), f"s3://{bucket}/s")
    assert aws("s3", "sync", str(root), f"s3://{bucket}/s") == b""  # nothing changed, nothing sent
    (root / "z.log").unlink()
    (root / "a.txt").write_bytes(b"a, and longer")
    files["a.txt"] = b"a, and longer"
    del files["z.log"]
    out = aws("s3", "sync", "--delete", str(root), f"s3://{bucket}/s").decode()
    assert "upload:" in out and "delete:" in out
    aws("s3", "sync", "--no-progress", f"s3://{bucket}/s", str(tmp_path / "back"))
    same(tmp_path / "back", files)
    aws("s3", "sync", f"s3://{bucket}/s", f"s3://{bucket}/copy")
    aws("s3", "sync", "--no-progress", f"s3://{bucket}/copy", str(tmp_path / "copy"))
    same(tmp_path / "copy", files)


def test_move_and_remove(bucket, tree):
    root, files = tree
    aws("s3", "cp", "--recursive", "--no-progress", str(root), f"s3://{bucket}/m/")
    aws("s3", "mv", f"s3://{bucket}/m/dir/deep/c d.bin", f"s3://{bucket}/moved")
    assert aws("s3", "cp", f"s3://{bucket}/moved", "-") == files["dir/deep/c d.bin"]
    aws("s3", "cp", f"s3://{bucket}/m/dir/deep/c d.bin", "-", fails=True)
    aws("s3", "rm", f"s3://{bucket}/m/a.txt")
    aws("s3", "rm", "--recursive", "--exclude", "*.log", f"s3://{bucket}/m/")
    left = aws("s3", "ls", "--recursive", f"s3://{bucket}/").decode().splitlines()
    assert sorted(line.split(maxsplit=3)[3] for line in left) == ["m/z.log", "moved"]


def test_presign(bucket):
    aws("s3", "cp", "-", f"s3://{bucket}/p q", data=b"presigned")
    url = aws("s3", "presign", "--expires-in", "60", f"s3://{bucket}/p q").decode().strip()
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == b"presigned"


def test_headers_and_metadata(bucket, tmp_path):
    (tmp_path / "page.html").write_bytes(b"<p>")
    target = f"s3://{bucket}/page.html"
    aws("s3", "cp", str(tmp_path / "page.html"), target, "--metadata", "run=7", "--cache-control", "max-age=5")
    head = api("head-object", "--bucket", bucket, "--key", "page.html")
    assert (head["ContentType"], head["CacheControl"], head["Metadata"]) == ("text/html", "max-age=5", {"run": "7"})


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"])
def test_checksums(bucket, tmp_path, algorithm):
    (tmp_path / "f").write_bytes(kit.payload(9 * kit.MIB))
    aws("s3", "cp", str(tmp_path / "f"), f"s3://{bucket}/f", "--checksum-algorithm", algorithm, "--no-progress")
    aws("s3", "cp", f"s3://{bucket}/f", str(tmp_path / "g"), "--checksum-mode", "ENABLED", "--no-progress")
    assert (tmp_path / "g").read_bytes() == kit.payload(9 * kit.MIB)
    head = api("head-object", "--bucket", bucket, "--key", "f", "--checksum-mode", "ENABLED")
    assert head["Checksum" + algorithm]


def test_api_calls(bucket, tmp_path):
    (tmp_path / "f").write_bytes(b"0123456789")
    put = api("put-object", "--bucket", bucket, "--key", "f", "--body", str(tmp_path / "f"))
    got = api("get-object", "--bucket", bucket, "--key", "f", "--range", "bytes=2-4", str(tmp_path / "g"))
    assert (tmp_path / "g").read_bytes() == b"234" and got["ContentRange"] == "bytes 2-4/10"
    listed = api("list-objects-v2", "--bucket", bucket, "--prefix", "f")
    assert [o["ETag"] for o in listed["Contents"]] == [put["ETag"]]
    api("copy-object", "--bucket", bucket, "--key", "h", "--copy-source", f"{bucket}/f")
    api("put-object-tagging", "--bucket", bucket, "--key", "h", "--tagging", "TagSet=[{Key=k,Value=v}]")
    assert api("get-object-tagging", "--bucket", bucket, "--key", "h")["TagSet"] == [{"Key": "k", "Value": "v"}]
    gone = api("delete-objects", "--bucket", bucket, "--delete", "Objects=[{Key=f},{Key=h}]")
    assert sorted(d["Key"] for d in gone["Deleted"]) == ["f", "h"]
    assert bucket in [b["Name"] for b in api("list-buckets")["Buckets"]]
    assert b"(404)" in api_error("head-object", "--bucket", bucket, "--key", "f")
    assert b"NoSuchKey" in api_error("get-object", "--bucket", bucket, "--key", "f", "/dev/null")


def api_error(*arguments):
    return aws("s3api", *arguments, fails=True)


def test_multipart_by_hand(bucket, tmp_path):
    bodies = [kit.payload(5 * kit.MIB, 1), kit.payload(100, 2)]
    named = ("--bucket", bucket, "--key", "m")
    upload = api("create-multipart-upload", *named)["UploadId"]
    parts = []
    for number, body in enumerate(bodies, 1):
        (tmp_path / "part").write_bytes(body)
        answer = api("upload-part", *named, "--upload-id", upload, "--part-number", str(number), "--body", str(tmp_path / "part"))
        parts.append({"PartNumber": number, "ETag": answer["ETag"]})
    assert len(api("list-parts", *named, "--upload-id", upload)["Parts"]) == 2
    api("complete-multipart-upload", *named, "--upload-id", upload, "--multipart-upload", json.dumps({"Parts": parts}))
    assert aws("s3", "cp", f"s3://{bucket}/m", "-") == b"".join(bodies)


def test_versions(bucket):
    api("put-bucket-versioning", "--bucket", bucket, "--versioning-configuration", "Status=Enabled")
    for text in (b"1", b"2"):
        aws("s3", "cp", "-", f"s3://{bucket}/v", data=text)
    aws("s3", "rm", f"s3://{bucket}/v")
    listed = api("list-object-versions", "--bucket", bucket)
    assert len(listed["Versions"]) == 2 and len(listed["DeleteMarkers"]) == 1
    for entry in listed["Versions"] + listed["DeleteMarkers"]:
        api("delete-object", "--bucket", bucket, "--key", "v", "--version-id", entry["VersionId"])


def test_bucket_not_empty(bucket):
    aws("s3", "cp", "-", f"s3://{bucket}/x", data=b"x")
    assert b"BucketNotEmpty" in aws("s3", "rb", f"s3://{bucket}", fails=True)

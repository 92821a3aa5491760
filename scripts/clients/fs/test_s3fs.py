"""s3fs and fsspec: files, caches, walks, recursive transfers."""

import io
import urllib.request

import fsspec
import pytest
import s3fs

import kit

OPTIONS = {
    "key": kit.ACCESS,
    "secret": kit.SECRET,
    "endpoint_url": kit.ENDPOINT,
    "config_kwargs": {"signature_version": "s3v4"},  # for presigned URLs, see the boto3 suite
}
BODY = kit.payload(12 * kit.MIB + 321)


@pytest.fixture
def fs():
    s3fs.S3FileSystem.clear_instance_cache()
    return s3fs.S3FileSystem(**OPTIONS, use_listings_cache=False)


@pytest.fixture
def root(fs):
    name = kit.bucket_name("fs")
    fs.mkdir(name)
    yield name
    fs.rm(name, recursive=True)
    assert not fs.exists(name)


def test_pipe_cat_info(fs, root):
    for size in (0, 1, 70000, 7 * kit.MIB):
        fs.pipe(f"{root}/p", kit.payload(size))
        assert fs.cat(f"{root}/p") == kit.payload(size)
        assert fs.info(f"{root}/p")["size"] == size
        assert fs.size(f"{root}/p") == size
    assert fs.isfile(f"{root}/p") and not fs.isdir(f"{root}/p")
    assert fs.cat_file(f"{root}/p", start=100, end=70100) == kit.payload(7 * kit.MIB)[100:70100]
    assert fs.tail(f"{root}/p", 1000) == kit.payload(7 * kit.MIB)[-1000:]


@pytest.mark.parametrize("cache", ["readahead", "bytes", "blockcache", "all", "none", "first", "background"])
def test_seek_and_read(fs, root, cache):
    fs.pipe(f"{root}/seek", BODY)
    model = io.BytesIO(BODY)
    with fs.open(f"{root}/seek", "rb", cache_type=cache, block_size=kit.MIB) as f:
        for where, length in ((0, 10), (5_000_000, 3_000_000), (100, 70000), (len(BODY) - 50, 500), (len(BODY), 10)):
            f.seek(where)
            model.seek(where)
            assert f.read(length) == model.read(length)
            assert f.tell() == model.tell()
        f.seek(-1000, 2)
        assert f.read() == BODY[-1000:]


def test_write_in_blocks(fs, root):
    """More than one block makes a multipart upload; the object appears only on close."""
    with fs.open(f"{root}/w", "wb", block_size=5 * kit.MIB) as f:
        for i in range(0, len(BODY), 700_001):
            f.write(BODY[i : i + 700_001])
        assert not fs.exists(f"{root}/w")
    assert fs.cat(f"{root}/w") == BODY


def test_append(fs, root):
    for size in (1000, 6 * kit.MIB):  # rewritten, and continued with UploadPartCopy
        fs.pipe(f"{root}/a", kit.payload(size))
        with fs.open(f"{root}/a", "ab") as f:
            f.write(b"appended")
        assert fs.cat(f"{root}/a") == kit.payload(size) + b"appended"


def test_text_lines(fs, root):
    with fs.open(f"{root}/t.txt", "w", encoding="utf-8") as f:
        f.write("one\ntwo\nd\u00e9j\u00e0\n")
    with fs.open(f"{root}/t.txt", "r", encoding="utf-8") as f:
        assert f.readlines() == ["one\n", "two\n", "d\u00e9j\u00e0\n"]


FILES = {"x/1.bin": b"1", "x/2.bin": kit.payload(70000), "x/y/3.txt": b"3", "x/y/z/4 +&.txt": b"4", "top": b""}


@pytest.fixture
def tree(fs, root):
    fs.pipe({f"{root}/{name}": data for name, data in FILES.items()})
    return root


def test_ls_walk_find_glob(fs, tree):
    assert sorted(fs.ls(tree, detail=False)) == [f"{tree}/top", f"{tree}/x"]
    assert sorted(fs.find(tree)) == sorted(f"{tree}/{n}" for n in FILES)
    walked = [(d.removeprefix(tree), sorted(dirs), sorted(files)) for d, dirs, files in fs.walk(tree)]
    assert walked == [
        ("", ["x"], ["top"]),
        ("/x", ["y"], ["1.bin", "2.bin"]),
        ("/x/y", ["z"], ["3.txt"]),
        ("/x/y/z", [], ["4 +&.txt"]),
    ]
    assert sorted(fs.glob(f"{tree}/x/**/*.txt")) == sorted([f"{tree}/x/y/3.txt", f"{tree}/x/y/z/4 +&.txt"])
    assert fs.isdir(f"{tree}/x/y") and fs.du(tree) == sum(map(len, FILES.values()))


def test_put_get_recursive(fs, tree, tmp_path):
    fs.get(f"{tree}/x", str(tmp_path / "got"), recursive=True)
    assert (tmp_path / "got/y/z/4 +&.txt").read_bytes() == b"4"
    assert (tmp_path / "got/2.bin").read_bytes() == FILES["x/2.bin"]
    fs.put(str(tmp_path / "got"), f"{tree}/again", recursive=True)
    assert fs.cat(f"{tree}/again/2.bin") == FILES["x/2.bin"]
    assert len(fs.find(f"{tree}/again")) == 4


def test_move_copy_remove(fs, tree):
    fs.mv(f"{tree}/x/2.bin", f"{tree}/moved")
    assert fs.cat(f"{tree}/moved") == FILES["x/2.bin"] and not fs.exists(f"{tree}/x/2.bin")
    fs.copy(f"{tree}/x", f"{tree}/copy", recursive=True)
    assert fs.cat(f"{tree}/copy/y/3.txt") == b"3"
    fs.rm(f"{tree}/x", recursive=True)
    assert not fs.exists(f"{tree}/x") and fs.exists(f"{tree}/copy/y")
    with pytest.raises(FileNotFoundError):
        fs.cat(f"{tree}/x/1.bin")


def test_metadata_tags_checksum_url(fs, root):
    fs.pipe(f"{root}/m", b"m")
    fs.setxattr(f"{root}/m", run="7")
    assert fs.getxattr(f"{root}/m", "run") == "7"
    fs.put_tags(f"{root}/m", {"k": "v"})
    assert fs.get_tags(f"{root}/m") == {"k": "v"}
    before = fs.checksum(f"{root}/m")
    fs.pipe(f"{root}/m", b"n")
    assert fs.checksum(f"{root}/m") != before
    with urllib.request.urlopen(fs.url(f"{root}/m")) as answer:
        assert answer.read() == b"n"


def test_exclusive_create(fs, root):
    fs.pipe_file(f"{root}/once", b"first", mode="create")
    with pytest.raises(OSError, match="exists|pre-conditions|precondition"):
        fs.pipe_file(f"{root}/once", b"second", mode="create")
    assert fs.cat(f"{root}/once") == b"first"


def test_url_chain(root, fs):
    fs.pipe(f"{root}/c", BODY)
    with fsspec.open(f"simplecache::s3://{root}/c", s3=OPTIONS) as f:
        assert f.read() == BODY


def test_versions(root):
    fs = s3fs.S3FileSystem(**OPTIONS, version_aware=True, use_listings_cache=False)
    fs.make_bucket_versioned(root, True)
    fs.pipe(f"{root}/v", b"old")
    fs.pipe(f"{root}/v", b"new")
    versions = [v["VersionId"] for v in fs.object_version_info(f"{root}/v")]
    assert len(versions) == 2
    assert fs.cat(f"{root}/v") == b"new"
    with fs.open(f"{root}/v", version_id=versions[-1]) as f:
        assert f.read() == b"old"
    for version in versions:
        fs.call_s3("delete_object", Bucket=root, Key="v", VersionId=version)

"""ListObjects v1 and v2: order, prefixes, delimiters, paging, encoding."""

import concurrent.futures
import urllib.parse

import pytest

import raw
from errs import fails

KEYS = sorted(
    ["a", "a/", "a/b", "a/b/c", "a/d", "ab", "b/1", "b/2", "b/3", "c d/e f", "c+d", "d%2Fe", "z/1/2/3", "z~", "\u00e9/x", "\u6f22"],
    key=lambda k: k.encode(),
)


@pytest.fixture
def filled(put):
    for key in KEYS:
        put(key, key.encode())


def keys(answer):
    return [o["Key"] for o in answer.get("Contents", [])]


def prefixes(answer):
    return [p["Prefix"] for p in answer.get("CommonPrefixes", [])]


def expected(prefix="", delimiter="", after=""):
    """The listing by definition: keys and common prefixes in byte order."""
    out = []
    for key in KEYS:
        if not key.startswith(prefix):
            continue
        rest = key[len(prefix) :]
        name = key
        if delimiter and delimiter in rest:
            name = prefix + rest[: rest.index(delimiter) + len(delimiter)]
        if key.encode() <= after.encode() or (out and out[-1] == name):
            continue
        out.append(name)
    return out


def merged(page):
    return sorted(keys(page) + prefixes(page), key=lambda k: k.encode())


CASES = [("", ""), ("", "/"), ("a", "/"), ("a/", "/"), ("b/", ""), ("a", "b"), ("z/", "/"), ("c", " "), ("nothing", "/"), ("", "\u00e9")]


@pytest.mark.parametrize(("prefix", "delimiter"), CASES)
@pytest.mark.parametrize("operation", ["list_objects", "list_objects_v2"])
def test_prefix_and_delimiter(s3, bucket, filled, operation, prefix, delimiter):
    answer = getattr(s3, operation)(Bucket=bucket, Prefix=prefix, Delimiter=delimiter)
    assert merged(answer) == expected(prefix, delimiter)
    assert answer["IsTruncated"] is False
    assert answer["Name"] == bucket
    if operation == "list_objects_v2":
        assert answer["KeyCount"] == len(merged(answer))


@pytest.mark.parametrize("size", [1, 2, 3, 7])
@pytest.mark.parametrize(("prefix", "delimiter"), CASES[:5])
@pytest.mark.parametrize("operation", ["list_objects", "list_objects_v2"])
def test_pages(s3, bucket, filled, operation, prefix, delimiter, size):
    found = []
    pages = s3.get_paginator(operation).paginate(
        Bucket=bucket, Prefix=prefix, Delimiter=delimiter, PaginationConfig={"PageSize": size}
    )
    for page in pages:
        here = merged(page)
        assert len(here) == size or not page["IsTruncated"]
        found += here
    assert found == expected(prefix, delimiter)


def test_contents(s3, bucket, put):
    etag = put("one", b"12345")["ETag"]
    entry = s3.list_objects_v2(Bucket=bucket)["Contents"][0]
    assert (entry["Size"], entry["ETag"]) == (5, etag)
    assert "Owner" not in entry
    assert entry["LastModified"].tzinfo is not None
    assert s3.list_objects_v2(Bucket=bucket, FetchOwner=True)["Contents"][0]["Owner"]["ID"]
    assert s3.list_objects(Bucket=bucket)["Contents"][0]["Owner"]["ID"]


def test_start_after_and_marker(s3, bucket, filled):
    for after in ("", "a", "a/b", "aa", "b/", "\u6f22", "zzz"):
        v2 = s3.list_objects_v2(Bucket=bucket, StartAfter=after)
        v1 = s3.list_objects(Bucket=bucket, Marker=after)
        assert keys(v2) == keys(v1) == expected(after=after)


def test_max_keys(s3, bucket, filled):
    answer = s3.list_objects_v2(Bucket=bucket, MaxKeys=0)
    assert (answer["KeyCount"], answer["IsTruncated"], answer["MaxKeys"]) == (0, False, 0)
    answer = s3.list_objects_v2(Bucket=bucket, MaxKeys=5)
    assert (answer["KeyCount"], answer["IsTruncated"], answer["MaxKeys"]) == (5, True, 5)
    assert s3.list_objects_v2(Bucket=bucket, MaxKeys=5000)["MaxKeys"] in (1000, 5000)
    assert s3.list_objects_v2(Bucket=bucket, MaxKeys=len(KEYS))["IsTruncated"] is False


def test_bad_arguments(s3, bucket, filled):
    with fails(400, "InvalidArgument"):
        s3.list_objects_v2(Bucket=bucket, MaxKeys=-1)
    with fails(400, "InvalidArgument"):
        s3.list_objects_v2(Bucket=bucket, ContinuationToken="no such token")
    with fails(400, "InvalidArgument"):
        s3.list_objects_v2(Bucket=bucket, EncodingType="base64")


def test_two_thousand_keys(s3, bucket):
    """More than one page at the default size, and a prefix that is flat in what lies beside it."""
    names = [f"n/{i // 100:03}/{i:05}" for i in range(2100)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda k: s3.put_object(Bucket=bucket, Key=k, Body=b""), names))
    pages = list(s3.get_paginator("list_objects_v2").paginate(Bucket=bucket))
    assert [len(keys(p)) for p in pages] == [1000, 1000, 100]
    assert [k for p in pages for k in keys(p)] == names
    folders = s3.list_objects_v2(Bucket=bucket, Prefix="n/", Delimiter="/")
    assert len(prefixes(folders)) == 21 and not keys(folders)


def test_read_after_write(s3, bucket, put):
    for i in range(50):
        put(f"k{i}", b"")
        assert f"k{i}" in keys(s3.list_objects_v2(Bucket=bucket))
        s3.delete_object(Bucket=bucket, Key=f"k{i}")
        assert keys(s3.list_objects_v2(Bucket=bucket)) == []


def test_url_encoding(bucket, put):
    """encoding-type=url escapes keys; without it XML special characters are escaped as XML."""
    put("a b&<c>+%\u00e9", b"")
    plain = raw.send("GET", f"/{bucket}?list-type=2")
    assert "<Key>a b&amp;&lt;c&gt;+%\u00e9</Key>".encode() in plain.body, plain
    escaped = raw.send("GET", f"/{bucket}?encoding-type=url&list-type=2")
    assert b"<EncodingType>url</EncodingType>" in escaped.body
    body = escaped.body.decode()
    name = body[body.index("<Key>") + 5 : body.index("</Key>")]
    assert name.isascii() and urllib.parse.unquote_plus(name) == "a b&<c>+%\u00e9"


def test_control_characters(s3, bucket, put, get):
    """XML 1.0 cannot carry most of them, so clients ask for url encoding."""
    names = ["\x01", "bell\x07", "new\nline", "tab\there"]
    for key in names:
        put(key, b"control")
        assert get(key) == b"control"
    assert keys(s3.list_objects_v2(Bucket=bucket)) == names
    for key in names:
        s3.delete_object(Bucket=bucket, Key=key)

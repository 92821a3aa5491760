"""Keys: everything that is legal is a name like any other."""

import pytest

import raw
from errs import fails

ODD = [
    "with space",
    " leading and trailing ",
    "plus+plus",
    "percent%20 %2F %",
    "question?mark&and=equals",
    "hash#mark",
    "semi;colon,comma:colon",
    "quotes'\"`",
    "brackets[]{}()<>",
    "back\\slash|pipe^tilde~",
    "star*dollar$at@bang!",
    "d\u00e9j\u00e0 vu/\u00fc\u00f1\u00ef",
    "\u6f22\u5b57/\u304b\u306a",
    "\U0001f680/\U0001f9ea",
    "e\u0301 is not \u00e9",
    "double//slash",
    "///",
    "/leading",
    "trailing/",
    "a/./b",
    "a/../b",
    "./dot",
    "..two",
    "dots...",
    ".hidden/.git/config",
    "x" * 255 + "/" + "y" * 255 + "/" + "z" * 400,
    "k" * 1024,
    "\u6f22" * 341,
    "CON",
    "a:b",
    "UPPER",
    "upper",
]


@pytest.mark.parametrize("key", ODD, ids=lambda k: ascii(k)[:24])
def test_odd_key(s3, bucket, put, get, key):
    body = ("body of " + key).encode()
    put(key, body, Metadata={"m": "v"})
    assert get(key) == body
    assert s3.head_object(Bucket=bucket, Key=key)["Metadata"] == {"m": "v"}
    listed = s3.list_objects_v2(Bucket=bucket, Prefix=key)["Contents"]
    assert [o["Key"] for o in listed] == [key]
    s3.copy_object(Bucket=bucket, Key="copy of", CopySource={"Bucket": bucket, "Key": key})
    assert get("copy of") == body
    s3.delete_object(Bucket=bucket, Key=key)
    with fails(404, "NoSuchKey"):
        get(key)


def test_all_at_once(s3, bucket, put, get):
    """No two of them are the same object, and they list in byte order."""
    for key in ODD:
        put(key, key.encode())
    for key in ODD:
        assert get(key) == key.encode()
    listed = [o["Key"] for o in s3.list_objects_v2(Bucket=bucket)["Contents"]]
    assert listed == sorted(ODD, key=lambda k: k.encode())


def test_key_beside_its_children(s3, bucket, put, get):
    put("a", b"file")
    put("a/b", b"child")
    put("a/", b"")
    put("a/b/c", b"grandchild")
    assert (get("a"), get("a/b"), get("a/"), get("a/b/c")) == (b"file", b"child", b"", b"grandchild")
    s3.delete_object(Bucket=bucket, Key="a/b")
    assert (get("a"), get("a/b/c")) == (b"file", b"grandchild")
    s3.delete_object(Bucket=bucket, Key="a")
    assert get("a/b/c") == b"grandchild"


@pytest.mark.parametrize("key", ["k" * 1025, "\u6f22" * 342], ids=["ascii", "utf-8"])
def test_too_long(put, key):
    with fails(400, "KeyTooLongError"):
        put(key, b"x")


@pytest.mark.parametrize("path", ["bad%FFutf8", "nul%00byte", "%C3%28", "surrogate%ED%A0%80", "../up", "a/../../up"])
def test_illegal(s3, bucket, path):
    answer = raw.send("PUT", f"/{bucket}/{path}", b"x")
    assert answer.status == 400 and answer.code, answer
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0

"""obstore, Rust's object_store: conditional puts, ranges, uploads in parts, lists, copies, signed URLs."""

import datetime

import urllib.request

import obstore
import pytest
from obstore.exceptions import AlreadyExistsError, NotModifiedError, PreconditionError
from obstore.store import S3Store

import kit

COUNTER = """
import os, sys
import obstore
from obstore.exceptions import PreconditionError
from obstore.store import S3Store
store = S3Store(sys.argv[2], endpoint=sys.argv[3], client_options={"allow_http": True})
print("ready", flush=True)
sys.stdin.readline()
done = 0
while done < int(sys.argv[4]):
    got = obstore.get(store, "counter")
    meta = got.meta
    try:
        obstore.put(store, "counter", b"%d" % (int(bytes(got.bytes())) + 1), mode={"e_tag": meta["e_tag"]})
        done += 1
    except PreconditionError:
        pass
"""


@pytest.fixture
def store(bucket):
    return S3Store(bucket, endpoint=kit.ENDPOINT, client_options={"allow_http": True})


def test_compare_and_swap(store, bucket, together):
    """A counter that several processes raise with If-Match loses no step."""
    obstore.put(store, "counter", b"0")
    together(COUNTER, 4, bucket, kit.ENDPOINT, "20")
    assert bytes(obstore.get(store, "counter").bytes()) == b"80"


def test_conditions(store):
    first = obstore.put(store, "c", b"one", mode="create")
    with pytest.raises(AlreadyExistsError):
        obstore.put(store, "c", b"two", mode="create")
    second = obstore.put(store, "c", b"two", mode={"e_tag": first["e_tag"]})
    with pytest.raises(PreconditionError):
        obstore.put(store, "c", b"three", mode={"e_tag": first["e_tag"]})
    with pytest.raises(NotModifiedError):
        obstore.get(store, "c", options={"if_none_match": second["e_tag"]})
    with pytest.raises(PreconditionError):
        obstore.get(store, "c", options={"if_match": first["e_tag"]})


def test_parts_and_ranges(store):
    body = kit.payload(23 * kit.MIB + 7)
    obstore.put(store, "big", body, chunk_size=5 * kit.MIB, max_concurrency=4)
    assert bytes(obstore.get(store, "big").bytes()) == body
    assert b"".join(bytes(chunk) for chunk in obstore.get(store, "big").stream(min_chunk_size=kit.MIB)) == body
    assert bytes(obstore.get_range(store, "big", start=kit.MIB - 3, end=kit.MIB + 9)) == body[kit.MIB - 3 : kit.MIB + 9]
    assert bytes(obstore.get(store, "big", options={"range": {"suffix": 1000}}).bytes()) == body[-1000:]
    assert bytes(obstore.get(store, "big", options={"range": {"offset": len(body) - 5}}).bytes()) == body[-5:]
    starts = [17 + i * 300_000 for i in range(60)]
    got = obstore.get_ranges(store, "big", starts=starts, lengths=[1000] * 60)
    assert [bytes(g) for g in got] == [body[s : s + 1000] for s in starts]


def test_list_copy_rename_delete(store):
    for i in range(1200):
        obstore.put(store, f"d{i % 3}/{i:04}", b"")
    assert len([o for chunk in obstore.list(store) for o in chunk]) == 1200
    assert obstore.list_with_delimiter(store)["common_prefixes"] == ["d0", "d1", "d2"]
    after = obstore.list(store, "d1", offset="d1/1000").collect()
    assert [o["path"] for o in after] == [f"d1/{i:04}" for i in range(1001, 1200) if i % 3 == 1]
    obstore.put(store, "x y/\u6f22", b"x")
    obstore.copy(store, "x y/\u6f22", "copy")
    obstore.rename(store, "copy", "renamed")
    assert bytes(obstore.get(store, "renamed").bytes()) == b"x"
    with pytest.raises(FileNotFoundError):
        obstore.head(store, "copy")
    obstore.delete(store, [f"d{i % 3}/{i:04}" for i in range(1200)])  # DeleteObjects
    assert sorted(o["path"] for o in obstore.list(store).collect()) == ["renamed", "x y/\u6f22"]


def test_attributes_and_signed_urls(store):
    obstore.put(store, "a", b"signed", attributes={"Content-Type": "text/x-thing", "run": "7"})
    attributes = obstore.get(store, "a").attributes
    assert (attributes["Content-Type"], attributes["run"]) == ("text/x-thing", "7")
    url = obstore.sign(store, "GET", "a", datetime.timedelta(minutes=1))
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == b"signed"

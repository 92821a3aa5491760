"""zarr 3 over obstore: chunks, shards read by ranges, regions written by several processes, groups."""

import numpy as np
import obstore.store
import pytest
import zarr

import kit

PROGRAM = """
import sys
import numpy, obstore.store, zarr
number, bucket, endpoint = int(sys.argv[1]), sys.argv[2], sys.argv[3]
store = obstore.store.S3Store(bucket, prefix="z", endpoint=endpoint, client_options={"allow_http": True})
array = zarr.open_array(zarr.storage.ObjectStore(store), path="shared", mode="r+")
print("ready", flush=True)
sys.stdin.readline()
array[number * 64:(number + 1) * 64] = numpy.random.default_rng(number).random((64, 500))
"""


@pytest.fixture
def store(bucket):
    made = obstore.store.S3Store(bucket, prefix="z", endpoint=kit.ENDPOINT, client_options={"allow_http": True})
    return zarr.storage.ObjectStore(made)


def test_chunks_and_groups(store):
    root = zarr.create_group(store, attributes={"run": 7})
    data = np.random.default_rng(1).integers(0, 1 << 40, (301, 203))
    array = root.create_group("a/b").create_array("x", shape=data.shape, chunks=(64, 50), dtype=data.dtype, fill_value=-1)
    array[:] = data
    array[10:20, 5] = 0
    data[10:20, 5] = 0
    again = zarr.open_group(store, mode="r")
    assert again.attrs["run"] == 7 and [k for k, _ in again.members(max_depth=None)] == ["a", "a/b", "a/b/x"]
    np.testing.assert_array_equal(again["a/b/x"][:], data)
    np.testing.assert_array_equal(again["a/b/x"][7:200:13, 100:], data[7:200:13, 100:])
    array.resize((400, 203))
    assert (array[301:] == -1).all() and (array[:301] == data).all()
    del root["a"]
    assert list(zarr.open_group(store, mode="r").members()) == []


def test_shards(store):
    """The index is at the end of a shard: a suffix range, then a range for each chunk."""
    data = np.random.default_rng(2).random((256, 256, 8))
    array = zarr.create_array(store, name="s", shape=data.shape, shards=(128, 128, 8), chunks=(16, 16, 8), dtype=data.dtype)
    array[:] = data
    again = zarr.open_array(store, path="s", mode="r")
    for where in (np.s_[3, 5, :], np.s_[100:140, 250:, 1], np.s_[:, 128, 7], np.s_[:]):
        np.testing.assert_array_equal(again[where], data[where])


def test_written_by_several(store, bucket, together):
    zarr.create_array(store, name="shared", shape=(5 * 64, 500), chunks=(16, 500), dtype="f8")
    together(PROGRAM, 5, bucket, kit.ENDPOINT)
    got = zarr.open_array(store, path="shared", mode="r")[:]
    for number in range(5):
        np.testing.assert_array_equal(got[number * 64 : (number + 1) * 64], np.random.default_rng(number).random((64, 500)))

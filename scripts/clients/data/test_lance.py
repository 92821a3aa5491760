"""Lance: datasets in fragments, commits from several processes, versions, random access, compaction, an index."""

import lance
import numpy as np
import pyarrow as pa

import kit

OPTIONS = {"aws_endpoint": kit.ENDPOINT, "allow_http": "true"}
WRITERS, COMMITS, ROWS = 4, 5, 100


def rows(start, count):
    vectors = np.arange(start * 8, (start + count) * 8, dtype=np.float32)
    return pa.table(
        {
            "id": pa.array(range(start, start + count), pa.int64()),
            "vector": pa.FixedSizeListArray.from_arrays(vectors, 8),
            "blob": [kit.payload(1000 + i % 7, i) for i in range(start, start + count)],
        }
    )


def ids(dataset):
    return sorted(dataset.to_table(columns=["id"])["id"].to_pylist())


APPENDER = """
import sys
import lance, pyarrow as pa
number, uri, endpoint, commits, rows = int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
print("ready", flush=True)
sys.stdin.readline()
for commit in range(commits):
    start = (number * commits + commit) * rows
    table = pa.table({"id": pa.array(range(start, start + rows), pa.int64())})
    lance.write_dataset(table, uri, mode="append", storage_options={"aws_endpoint": endpoint, "allow_http": "true"})
"""


def test_concurrent_appends(bucket, together):
    """Every commit of every writer is a version of its own, and every row is there once."""
    uri = f"s3://{bucket}/t.lance"
    total = WRITERS * COMMITS * ROWS
    lance.write_dataset(pa.table({"id": pa.array(range(total, total + ROWS), pa.int64())}), uri, storage_options=OPTIONS)
    together(APPENDER, WRITERS, uri, kit.ENDPOINT, str(COMMITS), str(ROWS))
    dataset = lance.dataset(uri, storage_options=OPTIONS)
    assert ids(dataset) == list(range(total + ROWS))
    assert [v["version"] for v in dataset.versions()] == list(range(1, WRITERS * COMMITS + 2))


def test_versions_and_random_access(bucket):
    uri = f"s3://{bucket}/v.lance"
    lance.write_dataset(rows(0, 5000), uri, max_rows_per_file=2000, storage_options=OPTIONS)
    dataset = lance.dataset(uri, storage_options=OPTIONS)
    wanted = [4999, 0, 17, 2000, 1999, 3333]
    taken = dataset.take(wanted)
    assert taken["id"].to_pylist() == wanted
    assert taken["blob"].to_pylist() == [kit.payload(1000 + i % 7, i) for i in wanted]
    dataset.delete("id % 2 = 1")
    assert ids(dataset) == list(range(0, 5000, 2))
    dataset.update({"id": "id + 100000"}, where="id = 4998")
    assert ids(dataset)[-1] == 104998
    assert ids(lance.dataset(uri, version=1, storage_options=OPTIONS)) == list(range(5000))
    dataset.optimize.compact_files()
    assert len(dataset.get_fragments()) == 1
    dataset.create_scalar_index("id", "BTREE")
    found = lance.dataset(uri, storage_options=OPTIONS).to_table(filter="id = 2222", columns=["id", "blob"])
    assert found["blob"].to_pylist() == [kit.payload(1000 + 2222 % 7, 2222)]

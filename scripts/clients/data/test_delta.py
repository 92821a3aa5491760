"""Delta Lake by delta-rs: commits by conditional put from several processes, time travel, optimize, vacuum."""

import deltalake
import pyarrow as pa
import pytest

import kit

# Credentials and region come from the environment.
OPTIONS = {"AWS_ENDPOINT_URL": kit.ENDPOINT, "AWS_ALLOW_HTTP": "true", "aws_conditional_put": "etag"}
WRITERS, COMMITS, ROWS = 5, 6, 100


def rows(writer, commit):
    start = (writer * COMMITS + commit) * ROWS
    return pa.table({"id": pa.array(range(start, start + ROWS), pa.int64()), "writer": [writer] * ROWS})


def ids(table):
    return sorted(table.to_pyarrow_table()["id"].to_pylist())


APPENDER = """
import sys
import deltalake, pyarrow as pa
number, uri, endpoint, commits, rows = int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
options = {"AWS_ENDPOINT_URL": endpoint, "AWS_ALLOW_HTTP": "true", "aws_conditional_put": "etag"}
print("ready", flush=True)
sys.stdin.readline()
for commit in range(commits):
    start = (number * commits + commit) * rows
    table = pa.table({"id": pa.array(range(start, start + rows), pa.int64()), "writer": [number] * rows})
    deltalake.write_deltalake(uri, table, mode="append", storage_options=options,
        commit_properties=deltalake.CommitProperties(max_commit_retries=200))
"""


def test_concurrent_appends(bucket, together):
    """Every commit of every writer is a version of its own, and every row is there once."""
    uri = f"s3://{bucket}/t"
    deltalake.write_deltalake(uri, rows(WRITERS, 0), storage_options=OPTIONS)
    together(APPENDER, WRITERS, uri, kit.ENDPOINT, str(COMMITS), str(ROWS))
    table = deltalake.DeltaTable(uri, storage_options=OPTIONS)
    assert ids(table) == list(range((WRITERS * COMMITS + 1) * ROWS))
    assert table.version() == WRITERS * COMMITS
    assert [entry["version"] for entry in table.history()] == list(range(WRITERS * COMMITS, -1, -1))


def test_a_commit_is_refused_after_another(bucket):
    """Two deletes from one version: the second would lose the first and fails."""
    uri = f"s3://{bucket}/t"
    deltalake.write_deltalake(uri, rows(0, 0), storage_options=OPTIONS)
    one, two = (deltalake.DeltaTable(uri, storage_options=OPTIONS) for _ in range(2))
    one.delete("id < 10")
    with pytest.raises(deltalake.exceptions.CommitFailedError):
        two.delete("id < 20")
    two.update_incremental()
    two.delete("id < 20")
    assert ids(two) == list(range(20, ROWS))


def test_time_travel_optimize_vacuum(bucket, s3):
    uri = f"s3://{bucket}/dir/t"
    for commit in range(5):
        deltalake.write_deltalake(uri, rows(0, commit), mode="append", partition_by=["writer"], storage_options=OPTIONS)
    table = deltalake.DeltaTable(uri, storage_options=OPTIONS)
    table.merge(
        pa.table({"id": pa.array([0, 9999], pa.int64()), "writer": [7, 7]}), "s.id = t.id", source_alias="s", target_alias="t"
    ).when_matched_update_all().when_not_matched_insert_all().execute()
    merged = list(range(5 * ROWS)) + [9999]
    assert ids(table) == merged
    assert table.optimize.compact()["numFilesRemoved"] >= 5
    table.create_checkpoint()
    table = deltalake.DeltaTable(uri, storage_options=OPTIONS)
    assert ids(table) == merged and len(table.file_uris()) == 2
    old = deltalake.DeltaTable(uri, version=1, storage_options=OPTIONS)
    assert ids(old) == list(range(2 * ROWS))
    removed = table.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    assert len(removed) >= 6
    left = [o["Key"] for o in s3.list_objects_v2(Bucket=bucket, Prefix="dir/t/writer")["Contents"]]
    assert sorted(left) == sorted(f.removeprefix(f"s3://{bucket}/") for f in table.file_uris())
    assert ids(table) == merged
    table.restore(6)

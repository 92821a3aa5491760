"""DuckDB with its own S3 client, the extension httpfs: COPY in both directions, partitions, globs, CSV, a database by URL."""

import importlib.resources

import duckdb
import pytest

import kit


@pytest.fixture
def db():
    """A connection whose httpfs is the one in the Python package: nothing is downloaded."""
    connection = duckdb.connect(config={"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"})
    extensions = importlib.resources.files("duckdb_extension_httpfs") / "extensions" / f"v{duckdb.__version__}"
    connection.load_extension(str(extensions / "httpfs.duckdb_extension"))
    connection.execute(
        f"create secret (type s3, key_id '{kit.ACCESS}', secret '{kit.SECRET}', region '{kit.REGION}',"
        f" endpoint '{kit.HOST}:{kit.PORT}', url_style 'path', use_ssl false)"
    )
    yield connection
    connection.close()


TABLE = "select i as id, i % 5 as part, hash(i) as h, repeat('x', (i % 50)::int) as pad from range(500000) t(i)"


def test_parquet(db, bucket):
    """A file of many row groups: written in parts, read by ranges, of which a filter takes few."""
    db.execute(f"create table t as {TABLE}")
    db.execute(f"copy t to 's3://{bucket}/a b/t.parquet' (format parquet, row_group_size 20000, compression zstd)")
    source = f"read_parquet('s3://{bucket}/a b/t.parquet')"
    assert db.execute(f"select count(*), sum(h) from {source}").fetchone() == db.execute("select count(*), sum(h) from t").fetchone()
    assert db.execute(f"select count(*) from (from {source} except from t)").fetchone() == (0,)
    assert db.execute(f"select part, h from {source} where id = 333333").fetchall() == db.execute("select 3, hash(333333)").fetchall()
    assert len(db.execute(f"select distinct row_group_id from parquet_metadata('s3://{bucket}/a b/t.parquet')").fetchall()) == 25


def test_partitions(db, bucket, s3):
    db.execute(f"copy ({TABLE}) to 's3://{bucket}/p' (format parquet, partition_by (part))")
    keys = [o["Key"] for o in s3.list_objects_v2(Bucket=bucket)["Contents"]]
    assert {k.split("/")[1] for k in keys} == {f"part={i}" for i in range(5)}
    assert {r[0] for r in db.execute(f"from glob('s3://{bucket}/p/*/*.parquet')").fetchall()} == {f"s3://{bucket}/{k}" for k in keys}
    source = f"read_parquet('s3://{bucket}/p/**/*.parquet', hive_partitioning = true)"
    assert db.execute(f"select part, count(*) from {source} where part in (1, 3) group by all order by 1").fetchall() == [(1, 100000), (3, 100000)]
    db.execute(f"copy (select 7 as id, 1 as part) to 's3://{bucket}/p' (format parquet, partition_by (part), overwrite_or_ignore, filename_pattern 'more_{{uuid}}')")
    assert db.execute(f"select count(*) from {source}").fetchone() == (500001,)


def test_csv(db, bucket):
    db.execute(f"copy (select i as a, 'r\u00e9' || i as b from range(1000) t(i)) to 's3://{bucket}/c.csv' (header)")
    db.execute(f"copy (select i as a, 'r\u00e9' || i as b from range(1000) t(i)) to 's3://{bucket}/c.csv.gz' (header, compression gzip)")
    for name in ("c.csv", "c.csv.gz"):
        assert db.execute(f"select count(*), sum(a), max(b) from 's3://{bucket}/{name}'").fetchone() == (1000, 499500, "r\u00e9999")


def test_database_by_url(db, bucket, s3, tmp_path):
    """A database file is opened where it lies and read block by block."""
    with duckdb.connect(str(tmp_path / "x.duckdb")) as local:
        local.execute(f"create table t as {TABLE}")
    s3.upload_file(str(tmp_path / "x.duckdb"), bucket, "x.duckdb")
    db.execute(f"attach 's3://{bucket}/x.duckdb' as x (read_only)")
    assert db.execute("select id, h = hash(id) from x.t where id between 250000 and 250001 order by 1").fetchall() == [(250000, True), (250001, True)]


def test_errors(db, bucket):
    with pytest.raises(duckdb.HTTPException, match="404"):
        db.execute(f"from 's3://{bucket}/none.parquet'")
    with pytest.raises(duckdb.HTTPException, match="404"):
        db.execute(f"copy (select 1) to 's3://{bucket}-none/x.parquet'")

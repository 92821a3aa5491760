"""polars with its own object_store client: scans that push filters down, sinks in parts, globs, CSV and IPC."""

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import kit

OPTIONS = {
    "aws_endpoint_url": kit.ENDPOINT,
    "aws_access_key_id": kit.ACCESS,
    "aws_secret_access_key": kit.SECRET,
    "aws_region": kit.REGION,
    "aws_allow_http": "true",
}
FRAME = pl.DataFrame({"id": range(400_000)}).with_columns(part=pl.col("id") % 4, h=pl.col("id").hash(), s=pl.col("id").cast(pl.String).repeat_by(5).list.join("-"))


def scan(url, **named):
    return pl.scan_parquet(url, storage_options=OPTIONS, **named)


def test_write_and_scan(bucket):
    url = f"s3://{bucket}/a b/t.parquet"
    FRAME.write_parquet(url, row_group_size=20_000, storage_options=OPTIONS)
    assert_frame_equal(scan(url).collect(), FRAME)
    assert_frame_equal(scan(url).filter(pl.col("id").is_between(33, 44)).select("h").collect(), FRAME[33:45].select("h"))
    assert scan(url).select(pl.len()).collect().item() == len(FRAME)
    assert_frame_equal(scan(url).tail(10).collect(), FRAME.tail(10))
    assert_frame_equal(pl.read_parquet(url, storage_options=OPTIONS, columns=["part"]), FRAME.select("part"))


def test_sink_streams(bucket, s3, monkeypatch):
    """A sink from a scan: a multipart upload, nothing left of it but the object."""
    monkeypatch.setenv("POLARS_UPLOAD_CHUNK_SIZE", str(5 * kit.MIB))
    FRAME.write_parquet(f"s3://{bucket}/in.parquet", compression="uncompressed", storage_options=OPTIONS)
    query = scan(f"s3://{bucket}/in.parquet").with_columns(twice=pl.col("id") * 2)
    query.sink_parquet(f"s3://{bucket}/out.parquet", compression="uncompressed", storage_options=OPTIONS)
    assert_frame_equal(scan(f"s3://{bucket}/out.parquet").collect(), FRAME.with_columns(twice=pl.col("id") * 2))
    assert s3.head_object(Bucket=bucket, Key="out.parquet")["ETag"].count("-") == 1
    assert not s3.list_multipart_uploads(Bucket=bucket).get("Uploads")


def test_globs_and_partitions(bucket):
    for part in range(4):
        FRAME.filter(part=part).drop("part").write_parquet(f"s3://{bucket}/d/part={part}/x.parquet", storage_options=OPTIONS)
    for url in (f"s3://{bucket}/d/", f"s3://{bucket}/d/**/*.parquet"):
        got = scan(url, hive_partitioning=True).filter(pl.col("part") == 2).collect()
        assert_frame_equal(got.select("id", "h"), FRAME.filter(part=2).select("id", "h"))


@pytest.mark.parametrize("kind", ["csv", "ndjson", "ipc"])
def test_other_formats(bucket, kind):
    url = f"s3://{bucket}/x.{kind}"
    few = FRAME.head(20_000)
    getattr(few.lazy(), "sink_" + kind)(url, storage_options=OPTIONS)
    got = getattr(pl, "scan_" + kind)(url, storage_options=OPTIONS).collect()
    assert_frame_equal(got.with_columns(pl.col("h").cast(pl.UInt64)), few)


def test_errors(bucket):
    with pytest.raises((FileNotFoundError, pl.exceptions.ComputeError, OSError), match="404|[Nn]ot [Ff]ound|NoSuchKey|expanded paths were empty"):
        scan(f"s3://{bucket}/none.parquet").collect()

"""pyarrow: its own S3 client (the AWS C++ SDK) for files, and partitioned Parquet read with filters."""

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from pyarrow import fs

import kit


@pytest.fixture(scope="module")
def s3():
    scheme, address = kit.ENDPOINT.split("://")
    return fs.S3FileSystem(
        access_key=kit.ACCESS,
        secret_key=kit.SECRET,
        endpoint_override=address,
        scheme=scheme,
        region=kit.REGION,
        allow_bucket_creation=True,
        allow_bucket_deletion=True,
    )


@pytest.fixture
def root(s3):
    name = kit.bucket_name("arrow")
    s3.create_dir(name)
    yield name
    s3.delete_dir(name)


@pytest.fixture(scope="module")
def table():
    rows = 200_000
    data = kit.payload(rows * 8)
    return pa.table(
        {
            "step": pa.array(range(rows), pa.int64()),
            "rank": pa.array([i % 4 for i in range(rows)], pa.int32()),
            "name": pa.array([f"sample-{i:07}" for i in range(rows)]),
            "value": pa.Array.from_buffers(pa.uint64(), rows, [None, pa.py_buffer(data)]),
        }
    )


def test_files(s3, root):
    for size in (0, 1000, 12 * kit.MIB + 7):
        body = kit.payload(size)
        with s3.open_output_stream(f"{root}/dir/f", metadata={"Content-Type": "a/b"}) as out:
            out.write(body)
        info = s3.get_file_info(f"{root}/dir/f")
        assert (info.type, info.size) == (fs.FileType.File, size)
        with s3.open_input_stream(f"{root}/dir/f") as stream:
            assert stream.read() == body
        with s3.open_input_file(f"{root}/dir/f") as file:
            assert file.size() == size
            assert file.read_at(500, size // 2) == body[size // 2 : size // 2 + 500]
            file.seek(max(0, size - 100))
            assert file.read() == body[-100:]
            assert file.metadata()["Content-Type"] == b"a/b"


def test_many_parts_in_the_background(s3, root):
    body = kit.payload(kit.MIB)
    with s3.open_output_stream(f"{root}/big") as out:
        for _ in range(31):
            out.write(body)
    with s3.open_input_file(f"{root}/big") as file:
        for i in range(31):
            assert file.read(kit.MIB) == body


def test_directories(s3, root):
    s3.create_dir(f"{root}/made/deep", recursive=True)
    assert s3.get_file_info(f"{root}/made/deep").type == fs.FileType.Directory
    for name in ("made/a", "made/deep/b c", "made/deep/\u00e9"):
        with s3.open_output_stream(f"{root}/{name}") as out:
            out.write(name.encode())
    found = s3.get_file_info(fs.FileSelector(f"{root}/made", recursive=True))
    assert sorted(f.path.removeprefix(root + "/") for f in found if f.is_file) == ["made/a", "made/deep/b c", "made/deep/\u00e9"]
    s3.copy_file(f"{root}/made/a", f"{root}/copy")
    s3.move(f"{root}/copy", f"{root}/moved")
    assert s3.get_file_info(f"{root}/copy").type == fs.FileType.NotFound
    with s3.open_input_stream(f"{root}/moved") as stream:
        assert stream.read() == b"made/a"
    s3.delete_dir(f"{root}/made")
    assert s3.get_file_info(f"{root}/made/a").type == fs.FileType.NotFound


def test_single_parquet(s3, root, table):
    pq.write_table(table, f"{root}/one.parquet", filesystem=s3, row_group_size=20_000)
    assert pq.read_table(f"{root}/one.parquet", filesystem=s3) == table
    some = pq.read_table(f"{root}/one.parquet", filesystem=s3, columns=["value"], filters=[("step", ">=", 150_000)])
    assert some == table.filter(pc.field("step") >= 150_000).select(["value"])
    with s3.open_input_file(f"{root}/one.parquet") as file:
        local = pa.BufferOutputStream()
        pq.write_table(table, local, row_group_size=20_000)
        assert file.read() == local.getvalue().to_pybytes()


def test_partitioned_dataset(s3, root, table):
    """Hive partitions: a filter on the partition reads only its files, one on a column only its row groups."""
    ds.write_dataset(
        table, f"{root}/set", filesystem=s3, format="parquet", partitioning=ds.partitioning(pa.schema([("rank", pa.int32())]), flavor="hive")
    )
    data = ds.dataset(f"{root}/set", filesystem=s3, format="parquet", partitioning="hive")
    assert sorted(f.split("/")[2] for f in data.files) == [f"rank={i}" for i in range(4)]
    assert data.count_rows() == table.num_rows
    got = data.to_table(filter=(pc.field("rank") == 2) & (pc.field("step") < 1000), columns=["step", "name", "value"])
    want = table.filter((pc.field("rank") == 2) & (pc.field("step") < 1000)).select(["step", "name", "value"])
    assert got.sort_by("step") == want
    everything = data.to_table(columns=table.column_names).sort_by("step")
    assert everything.cast(table.schema) == table


def test_missing(s3, root):
    with pytest.raises(FileNotFoundError):
        s3.open_input_file(f"{root}/none")

"""PyTorch on the CPU: s3torchconnector (the AWS CRT, as in Mountpoint) for data sets and checkpoints, and litdata."""

import io

import boto3
import litdata
import pytest
import s3torchconnector
import torch
import torch.distributed.checkpoint as dcp
from botocore.client import Config
from s3torchconnector import S3Checkpoint, S3ClientConfig, S3IterableDataset, S3MapDataset, S3ReaderConstructor
from s3torchconnector.dcp import S3StorageReader, S3StorageWriter

import kit

OBJECTS = 120
CONFIG = S3ClientConfig(force_path_style=True, part_size=5 * kit.MIB, max_attempts=1)
GIVEN = {"region": kit.REGION, "s3client_config": CONFIG}
LOCATED = {"region": kit.REGION, "endpoint": kit.ENDPOINT, "s3client_config": CONFIG}


@pytest.fixture
def s3():
    return boto3.client("s3", endpoint_url=kit.ENDPOINT, config=Config(s3={"addressing_style": "path"}))


@pytest.fixture
def bucket(s3):
    """The name of a fresh bucket, emptied and deleted after the test."""
    yield from kit.fresh_bucket(s3, "torch")


@pytest.fixture
def samples(s3, bucket):
    """OBJECTS objects under train/ and one beside it; yields the prefix and their bytes by key."""
    bodies = {f"train/{i:04}.bin": kit.payload(1000 + i * 991, i) for i in range(OBJECTS)}
    for key, body in bodies.items():
        s3.put_object(Bucket=bucket, Key=key, Body=body)
    s3.put_object(Bucket=bucket, Key="other", Body=b"x")
    return f"s3://{bucket}/train/", bodies


def whole(reader):
    return reader.key, reader.read()


def unchanged(batch):
    return batch


def test_map_dataset(samples):
    """Random access through the workers of a DataLoader; every object once."""
    prefix, bodies = samples
    data = S3MapDataset.from_prefix(prefix, transform=whole, **LOCATED)
    assert len(data) == OBJECTS and data[77] == ("train/0077.bin", bodies["train/0077.bin"])
    assert dict(torch.utils.data.DataLoader(data, batch_size=None, shuffle=True)) == bodies


def test_iterable_dataset_with_workers(samples):
    """Workers are processes, each with its own client; sharding gives every object to one of them."""
    prefix, bodies = samples
    data = S3IterableDataset.from_prefix(prefix, transform=whole, enable_sharding=True, **LOCATED)
    loader = torch.utils.data.DataLoader(
        data, batch_size=8, num_workers=2, collate_fn=unchanged, multiprocessing_context="spawn", persistent_workers=True
    )
    for _ in range(2):
        got = [sample for batch in loader for sample in batch]
        assert len(got) == OBJECTS and dict(got) == bodies


@pytest.mark.parametrize("kind", ["sequential", "range_based"])
def test_reader_seeks(s3, bucket, kind):
    body = kit.payload(23 * kit.MIB + 7)
    s3.put_object(Bucket=bucket, Key="big", Body=body)
    constructor = getattr(S3ReaderConstructor, kind)()
    data = S3MapDataset.from_objects([f"s3://{bucket}/big"], reader_constructor=constructor, **LOCATED)
    model, reader = io.BytesIO(body), data[0]
    for where, length in ((0, 10), (9_000_000, 6_000_000), (100, 70_000), (len(body) - 50, 500), (kit.MIB * 5 - 1, 2)):
        reader.seek(where)
        model.seek(where)
        assert reader.read(length) == model.read(length)
        assert reader.tell() == model.tell()
    reader.seek(-1000, io.SEEK_END)
    assert reader.read() == body[-1000:]


def state(seed=0):
    torch.manual_seed(seed)
    model = torch.nn.Sequential(torch.nn.Linear(1000, 2000), torch.nn.ReLU(), torch.nn.Linear(2000, 1000))
    return model.state_dict()


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_checkpoint(s3, bucket):
    """torch.save writes an upload in parts, which appears when it is closed; torch.load reads it."""
    checkpoint = S3Checkpoint(**LOCATED)
    saved = state()
    with checkpoint.writer(f"s3://{bucket}/ckpt/epoch0.pt") as writer:
        torch.save(saved, writer)
        assert "Contents" not in s3.list_objects_v2(Bucket=bucket)
    with checkpoint.reader(f"s3://{bucket}/ckpt/epoch0.pt") as reader:
        assert same(torch.load(reader, weights_only=True), saved)
    assert s3.head_object(Bucket=bucket, Key="ckpt/epoch0.pt")["ETag"].strip('"').endswith("-4")


def test_a_writer_that_fails_leaves_no_object(s3, bucket):
    with pytest.raises(RuntimeError, match="stop"):
        with S3Checkpoint(**LOCATED).writer(f"s3://{bucket}/half.pt") as writer:
            writer.write(kit.payload(7 * kit.MIB))
            raise RuntimeError("stop")
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


def test_distributed_checkpoint(bucket, s3, monkeypatch):
    """DCP: several files and a metadata file written, loaded in place by ranges."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", kit.ENDPOINT)
    saved, loaded = state(1), state(2)
    path = f"s3://{bucket}/dcp/step1"
    dcp.save(saved, storage_writer=S3StorageWriter(path=path, thread_count=4, **GIVEN), no_dist=True)
    keys = [o["Key"] for o in s3.list_objects_v2(Bucket=bucket)["Contents"]]
    assert "dcp/step1/.metadata" in keys and len(keys) == 5, keys
    assert not same(saved, loaded)
    dcp.load(loaded, storage_reader=S3StorageReader(path=path, **GIVEN), no_dist=True)
    assert same(saved, loaded)


def test_errors(bucket):
    with pytest.raises(s3torchconnector.S3Exception, match="NoSuchKey|not exist|NoSuch"):
        S3MapDataset.from_objects([f"s3://{bucket}/none"], **LOCATED)[0].read()
    with pytest.raises(s3torchconnector.S3Exception):
        len(S3MapDataset.from_prefix(f"s3://{bucket}-none/", **LOCATED))


def sample(index):
    return {"index": index, "image": kit.payload(3000 + index, index), "x": torch.full((16,), index)}


def test_litdata(bucket, s3, tmp_path):
    """Chunks written by optimize, uploaded, and streamed twice, shuffled."""
    litdata.optimize(sample, list(range(300)), str(tmp_path / "made"), chunk_bytes="256KB", num_workers=1)
    for path in (tmp_path / "made").iterdir():
        s3.upload_file(str(path), bucket, f"lit/{path.name}")
    data = litdata.StreamingDataset(
        f"s3://{bucket}/lit",
        shuffle=True,
        cache_dir=str(tmp_path / "cache"),
        storage_options={"endpoint_url": kit.ENDPOINT, "config": Config(s3={"addressing_style": "path"})},
    )
    for _ in range(2):
        got = list(data)
        assert sorted(s["index"] for s in got) == list(range(300))
        for s in got:
            assert s["image"] == kit.payload(3000 + s["index"], s["index"]) and torch.equal(s["x"], torch.full((16,), s["index"]))

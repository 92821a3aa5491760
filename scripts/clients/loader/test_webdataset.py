"""webdataset without PyTorch: tar shards written to and read from S3, whole and by range."""

import io
import os
import shlex
import sys
import tarfile

import boto3
import pytest
import webdataset as wds
from botocore.client import Config

import kit

SHARDS, PER_SHARD = 4, 60


def sample(shard, index):
    n = shard * PER_SHARD + index
    return {"__key__": f"sample-{n:06}", "bin": kit.payload(20_000 + n, n), "cls": n % 10, "json": {"n": n}}


@pytest.fixture(scope="module")
def s3():
    return boto3.client("s3", endpoint_url=kit.ENDPOINT, config=Config(signature_version="s3v4", s3={"addressing_style": "path"}))


@pytest.fixture(scope="module")
def shards(s3):
    """A bucket with SHARDS tar files; yields its name."""
    bucket = kit.bucket_name("wds")
    s3.create_bucket(Bucket=bucket)
    for shard in range(SHARDS):
        out = io.BytesIO()
        with wds.TarWriter(out) as writer:
            for index in range(PER_SHARD):
                writer.write(sample(shard, index))
        s3.put_object(Bucket=bucket, Key=f"train-{shard:04}.tar", Body=out.getvalue())
    yield bucket
    kit.empty_bucket(s3, bucket)


def check(samples, shards_read):
    found = {s["__key__"]: s for s in samples}
    assert len(found) == PER_SHARD * len(shards_read)
    for shard in shards_read:
        for index in range(PER_SHARD):
            want = sample(shard, index)
            got = found[want["__key__"]]
            assert got["bin"] == want["bin"]
            assert (got["cls"], got["json"]) == (want["cls"], want["json"])


def test_pipe_from_aws_cli(shards):
    """The documented way: every shard streams through a `pipe:` of aws s3 cp."""
    aws = os.path.join(os.path.dirname(sys.executable), "aws")
    urls = f"pipe:{shlex.quote(aws)} --endpoint-url {kit.ENDPOINT} s3 cp s3://{shards}/train-{{0000..{SHARDS - 1:04}}}.tar -"
    check(list(wds.WebDataset(urls, shardshuffle=False).decode()), range(SHARDS))


def test_shuffled_presigned_urls(s3, shards):
    """Shards by presigned URL, shuffled; two epochs give the same samples."""
    urls = []
    for shard in range(SHARDS):
        url = s3.generate_presigned_url("get_object", Params={"Bucket": shards, "Key": f"train-{shard:04}.tar"})
        urls.append(f"pipe:{shlex.quote(sys.executable)} -c {shlex.quote(FETCH)} {shlex.quote(url)}")
    for _ in range(2):
        check(list(wds.WebDataset(urls, shardshuffle=SHARDS).shuffle(100).decode()), range(SHARDS))


FETCH = "import shutil, sys, urllib.request; shutil.copyfileobj(urllib.request.urlopen(sys.argv[1]), sys.stdout.buffer)"


def test_streamed_body(s3, shards):
    """A shard read straight from the response body, without being held in memory."""
    body = s3.get_object(Bucket=shards, Key="train-0002.tar")["Body"]
    source = [{"stream": body, "url": "train-0002.tar"}]
    samples = wds.tariterators.group_by_keys(wds.tariterators.tar_file_expander(source))
    decode = wds.autodecode.Decoder([wds.autodecode.basichandlers])
    check([decode(s) for s in samples], [2])


def test_random_access_by_range(s3, shards):
    """An index of (offset, size) and one range request a sample: what map-style loaders do."""
    key = "train-0001.tar"
    whole = s3.get_object(Bucket=shards, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(whole)) as tar:
        index = [(m.name, m.offset_data, m.size) for m in tar if m.name.endswith(".bin")]
    assert len(index) == PER_SHARD
    for i, (_, offset, size) in reversed(list(enumerate(index))):
        got = s3.get_object(Bucket=shards, Key=key, Range=f"bytes={offset}-{offset + size - 1}")
        assert got["ResponseMetadata"]["HTTPStatusCode"] == 206
        assert got["Body"].read() == sample(1, i)["bin"]


def test_shard_writer_to_s3(s3, tmp_path):
    """ShardWriter makes shards of a given size and a hook uploads each as it is finished."""
    bucket = kit.bucket_name("wdsw")
    s3.create_bucket(Bucket=bucket)

    def upload(name):
        s3.upload_file(name, bucket, os.path.basename(name))
        os.unlink(name)

    with wds.ShardWriter(str(tmp_path / "w-%03d.tar"), maxcount=25, post=upload, verbose=0) as writer:
        for index in range(PER_SHARD):
            writer.write(sample(0, index))
    keys = [o["Key"] for o in s3.list_objects_v2(Bucket=bucket)["Contents"]]
    assert keys == ["w-000.tar", "w-001.tar", "w-002.tar"]
    sources = [{"stream": s3.get_object(Bucket=bucket, Key=k)["Body"], "url": k} for k in keys]
    samples = wds.tariterators.group_by_keys(wds.tariterators.tar_file_expander(sources))
    decode = wds.autodecode.Decoder([wds.autodecode.basichandlers])
    check([decode(s) for s in samples], [0])
    kit.empty_bucket(s3, bucket)

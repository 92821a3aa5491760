"""PutObject with an offset, which S3 has for directory buckets and this server for all that were never versioned."""

import base64
import concurrent.futures
import zlib

import pytest
from botocore.exceptions import ClientError

import kit
from errs import fails


def crc32(data):
    return base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()


@pytest.mark.parametrize("size", [0, 3, 70_000, 3 << 20])
def test_append(s3, bucket, put, get, size):
    whole = kit.payload(size)
    put("k", whole, Metadata={"a": "b"}, ContentType="text/x")
    for seed, more in enumerate((1, 100, 200_000)):
        tail = kit.payload(more, seed)
        answer = put("k", tail, WriteOffsetBytes=len(whole))
        whole += tail
        assert answer["Size"] == len(whole)
        assert get("k") == whole
    head = s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert (head["ETag"], head["Metadata"], head["ContentType"]) == (answer["ETag"], {"a": "b"}, "text/x")
    assert (head["ChecksumCRC32"], head["ChecksumType"]) == (crc32(whole), "FULL_OBJECT")
    assert get("k", Range=f"bytes={len(whole) - 200_050}-{len(whole) - 199_951}") == whole[-200_050:-199_950]
    assert s3.head_object(Bucket=bucket, Key="k", PartNumber=4)["ContentLength"] == 200_000


def test_offset_zero_creates(s3, bucket, put, get):
    assert put("k", b"one", WriteOffsetBytes=0)["Size"] == 3
    with fails(400, "InvalidWriteOffset"):
        put("k", b"two", WriteOffsetBytes=0)
    with fails(400, "InvalidWriteOffset"):
        put("other", b"two", WriteOffsetBytes=3)
    assert get("k") == b"one"
    assert [o["Key"] for o in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["k"]


def test_multipart_and_rename(s3, bucket, put, get):
    upload = s3.create_multipart_upload(Bucket=bucket, Key="m", ChecksumAlgorithm="SHA256")["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key="m", UploadId=upload, PartNumber=7, Body=b"part", ChecksumAlgorithm="SHA256")
    done = {"PartNumber": 7, "ETag": part["ETag"], "ChecksumSHA256": part["ChecksumSHA256"]}
    s3.complete_multipart_upload(Bucket=bucket, Key="m", UploadId=upload, MultipartUpload={"Parts": [done]})
    put("m", b" two", WriteOffsetBytes=4)
    s3.rename_object(Bucket=bucket, Key="n", RenameSource=f"{bucket}/m")
    put("n", b" three", WriteOffsetBytes=8)
    assert get("n") == b"part two three"
    head = s3.head_object(Bucket=bucket, Key="n", ChecksumMode="ENABLED")
    assert head["ETag"].endswith('-3"') and "ChecksumSHA256" not in head
    copied = s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "n"})["CopyObjectResult"]
    assert copied["ETag"] == f'"{kit.md5(b"part two three")}"'


def test_conditions(put, get):
    etag = put("k", b"one")["ETag"]
    for failing in ({"IfMatch": '"beef"'}, {"IfNoneMatch": "*"}):
        with fails(412, "PreconditionFailed"):
            put("k", b"x", WriteOffsetBytes=3, **failing)
    put("k", b"x", WriteOffsetBytes=3, IfMatch=etag)
    assert get("k") == b"onex"


def test_refused(s3, bucket, put):
    put("k", b"one")
    for lost in ({"Metadata": {"a": "b"}}, {"Tagging": "a=b"}):
        with fails(400, "InvalidRequest"):
            put("k", b"x", WriteOffsetBytes=3, **lost)
    with fails(400, "EncryptionTypeMismatch"):
        put("k", b"x", WriteOffsetBytes=3, ServerSideEncryption="AES256")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    with fails(409, "InvalidBucketState"):
        put("k", b"x", WriteOffsetBytes=3)


@pytest.mark.parametrize("named", [{"ServerSideEncryption": "AES256"}, {"ServerSideEncryption": "aws:kms"}], ids=str)
def test_sealed(s3, bucket, put, get, named):
    whole = kit.payload(100_000)
    put("k", whole, **named)
    for seed in range(2):
        more = kit.payload(80_000, seed)
        put("k", more, WriteOffsetBytes=len(whole))
        whole += more
    assert get("k") == whole
    assert get("k", Range="bytes=99990-100009") == whole[99990:100010]
    assert s3.head_object(Bucket=bucket, Key="k")["ServerSideEncryption"] == named["ServerSideEncryption"]


def test_many_append_at_once(put, get):
    """Each record is there once and whole; readers see a prefix of the log at any time."""
    put("log", b"")

    def writer(n):
        for i in range(5):
            record = f"{n}:{i};".encode() * 100
            while True:
                size = len(get("log"))
                try:
                    put("log", record, WriteOffsetBytes=size)
                    break
                except ClientError as e:
                    assert e.response["Error"]["Code"] == "InvalidWriteOffset", e

    def reader(_):
        return get("log")

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        seen = pool.map(reader, range(20))
        list(pool.map(writer, range(4)))
        seen = list(seen)
    log = get("log")
    assert all(log.startswith(s) for s in seen)
    for n in range(4):
        for i in range(5):
            assert log.count(f"{n}:{i};".encode() * 100) == 1
    assert len(log) == 4 * 5 * 400

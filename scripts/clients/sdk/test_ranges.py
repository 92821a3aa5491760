"""Byte ranges and part numbers of GET and HEAD."""

import random

import pytest

import kit
from errs import fails

SIZE = 3 * kit.MIB + 123
BODY = kit.payload(SIZE, "ranges")


@pytest.fixture
def ranged(put):
    put("r", BODY)


@pytest.mark.parametrize(
    ("spec", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=0-99", 0, 99),
        ("bytes=65535-65536", 65535, 65536),
        (f"bytes=1048575-{2 * kit.MIB}", 1048575, 2 * kit.MIB),
        ("bytes=3000000-", 3000000, SIZE - 1),
        (f"bytes=100-{SIZE * 2}", 100, SIZE - 1),
        ("bytes=-1", SIZE - 1, SIZE - 1),
        ("bytes=-70000", SIZE - 70000, SIZE - 1),
        (f"bytes=-{SIZE * 5}", 0, SIZE - 1),
        ("bytes=0-", 0, SIZE - 1),
    ],
)
def test_range(s3, bucket, ranged, spec, first, last):
    answer = s3.get_object(Bucket=bucket, Key="r", Range=spec)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 206
    assert answer["ContentRange"] == f"bytes {first}-{last}/{SIZE}"
    assert answer["ContentLength"] == last - first + 1
    assert answer["Body"].read() == BODY[first : last + 1]
    head = s3.head_object(Bucket=bucket, Key="r", Range=spec)
    assert head["ContentLength"] == last - first + 1


def test_many_random_ranges(s3, bucket, ranged):
    rng = random.Random(20)
    for _ in range(60):
        first = rng.randrange(SIZE)
        last = min(SIZE - 1, first + rng.randrange(200000))
        got = s3.get_object(Bucket=bucket, Key="r", Range=f"bytes={first}-{last}")["Body"].read()
        assert got == BODY[first : last + 1], (first, last)


@pytest.mark.parametrize("spec", [f"bytes={SIZE}-", f"bytes={SIZE}-{SIZE + 10}", "bytes=-0"])
def test_not_satisfiable(s3, bucket, ranged, spec):
    with fails(416, "InvalidRange"):
        s3.get_object(Bucket=bucket, Key="r", Range=spec)


@pytest.mark.parametrize("spec", ["bytes=5-2", "bytes=", "bytes=a-b", "lines=0-5", "bytes 0-5"])
def test_nonsense_is_ignored(s3, bucket, ranged, spec):
    answer = s3.get_object(Bucket=bucket, Key="r", Range=spec)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert answer["Body"].read() == BODY


def test_range_of_empty_object(s3, bucket, put):
    put("empty", b"")
    for spec in ("bytes=0-", "bytes=0-0", "bytes=40-50"):
        with fails(416, "InvalidRange"):
            s3.get_object(Bucket=bucket, Key="empty", Range=spec)


def test_part_number_of_single_object(s3, bucket, ranged):
    answer = s3.get_object(Bucket=bucket, Key="r", PartNumber=1)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 206
    assert answer["Body"].read() == BODY
    with fails(416, "InvalidPartNumber", "InvalidRange", "InvalidPart"):
        s3.get_object(Bucket=bucket, Key="r", PartNumber=2)


def test_part_number_of_multipart(s3, bucket):
    bodies = [kit.payload(5 * kit.MIB, 1), kit.payload(5 * kit.MIB + 11, 2), kit.payload(99, 3)]
    upload = s3.create_multipart_upload(Bucket=bucket, Key="m")["UploadId"]
    parts = []
    for number, body in enumerate(bodies, 1):
        answer = s3.upload_part(Bucket=bucket, Key="m", UploadId=upload, PartNumber=number, Body=body)
        parts.append({"PartNumber": number, "ETag": answer["ETag"]})
    s3.complete_multipart_upload(Bucket=bucket, Key="m", UploadId=upload, MultipartUpload={"Parts": parts})
    offset, total = 0, sum(map(len, bodies))
    for part, body in zip(parts, bodies):
        for call in (s3.get_object, s3.head_object):
            answer = call(Bucket=bucket, Key="m", PartNumber=part["PartNumber"])
            assert answer["PartsCount"] == 3
            assert answer["ContentLength"] == len(body)
            assert answer["ContentRange"] == f"bytes {offset}-{offset + len(body) - 1}/{total}"
            if "Body" in answer:
                assert answer["Body"].read() == body
        offset += len(body)
    joined = b"".join(bodies)
    middle = len(bodies[0]) - 1000
    got = s3.get_object(Bucket=bucket, Key="m", Range=f"bytes={middle}-{middle + 1999}")["Body"].read()
    assert got == joined[middle : middle + 2000]
    with fails(416, "InvalidPartNumber", "InvalidRange", "InvalidPart"):
        s3.get_object(Bucket=bucket, Key="m", PartNumber=4)
    with fails(400, "InvalidRequest", "InvalidArgument"):
        s3.get_object(Bucket=bucket, Key="m", PartNumber=1, Range="bytes=0-1")

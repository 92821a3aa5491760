"""Conditional reads, and conditional writes that must be atomic."""

import concurrent.futures
import datetime

import pytest
from botocore.exceptions import ClientError

from errs import fails

HOUR = datetime.timedelta(hours=1)
OTHER = '"00000000000000000000000000000000"'


@pytest.fixture
def obj(s3, bucket, put):
    put("c", b"conditional")
    return s3.head_object(Bucket=bucket, Key="c")


def test_reads(s3, bucket, obj):
    etag, then = obj["ETag"], obj["LastModified"]
    passing = [
        {"IfMatch": etag},
        {"IfMatch": etag.strip('"')},
        {"IfMatch": "*"},
        {"IfMatch": f"{OTHER}, {etag}"},
        {"IfNoneMatch": OTHER},
        {"IfModifiedSince": then - HOUR},
        {"IfUnmodifiedSince": then},
        {"IfMatch": etag, "IfUnmodifiedSince": then - HOUR},  # If-Match decides (RFC 9110 13.2.2)
        {"IfNoneMatch": OTHER, "IfModifiedSince": then},  # If-None-Match decides
    ]
    for named in passing:
        assert s3.get_object(Bucket=bucket, Key="c", **named)["Body"].read() == b"conditional", named
        s3.head_object(Bucket=bucket, Key="c", **named)


@pytest.mark.parametrize("call", ["get_object", "head_object"])
def test_failing_reads(s3, bucket, obj, call):
    etag, then = obj["ETag"], obj["LastModified"]
    read = getattr(s3, call)
    for named in ({"IfMatch": OTHER}, {"IfUnmodifiedSince": then - HOUR}):
        with fails(412):
            read(Bucket=bucket, Key="c", **named)
    for named in ({"IfNoneMatch": etag}, {"IfNoneMatch": "*"}, {"IfModifiedSince": then}):
        with fails(304) as caught:
            read(Bucket=bucket, Key="c", **named)
        assert caught.value.response["ResponseMetadata"]["HTTPHeaders"]["etag"] == etag


def test_put_if_none_match(s3, bucket, put, get):
    put("new", b"first", IfNoneMatch="*")
    with fails(412, "PreconditionFailed"):
        put("new", b"second", IfNoneMatch="*")
    assert get("new") == b"first"
    s3.delete_object(Bucket=bucket, Key="new")
    put("new", b"third", IfNoneMatch="*")
    assert get("new") == b"third"


def test_put_if_match(put, get, obj):
    with fails(412, "PreconditionFailed"):
        put("c", b"no", IfMatch=OTHER)
    assert get("c") == b"conditional"
    second = put("c", b"second", IfMatch=obj["ETag"])["ETag"]
    with fails(412, "PreconditionFailed"):
        put("c", b"stale", IfMatch=obj["ETag"])
    put("c", b"third", IfMatch=second)
    assert get("c") == b"third"
    with fails(404, "NoSuchKey"):
        put("absent", b"", IfMatch=OTHER)


def test_put_if_none_match_etag(put, get, obj):
    """S3 knows only `*` here and answers NotImplemented; evaluating the ETag is as good, ignoring it is not."""
    with pytest.raises(ClientError) as caught:
        put("c", b"", IfNoneMatch=obj["ETag"])
    assert caught.value.response["Error"]["Code"] in ("NotImplemented", "PreconditionFailed")
    assert get("c") == b"conditional"


def race(calls):
    """Runs the calls at the same time; returns how many succeeded and the codes of those that did not."""
    codes, won = [], 0
    with concurrent.futures.ThreadPoolExecutor(len(calls)) as pool:
        for future in [pool.submit(call) for call in calls]:
            try:
                future.result()
                won += 1
            except ClientError as err:
                codes.append(err.response["Error"]["Code"])
    return won, codes


def test_one_creator_wins(put, get):
    """Of many concurrent creations exactly one succeeds, and its bytes are the ones that stay."""
    for round_ in range(5):
        key, answers = f"race{round_}", {}

        def create(i):
            put(key, f"writer {i}".encode(), IfNoneMatch="*")
            answers[i] = True

        won, codes = race([lambda i=i: create(i) for i in range(8)])
        assert won == 1
        assert set(codes) <= {"PreconditionFailed", "ConditionalRequestConflict"}, codes
        assert get(key) == f"writer {next(iter(answers))}".encode()


def test_compare_and_swap_counts_right(s3, bucket, put, get):
    """Concurrent increments by If-Match lose none: the lakehouse commit pattern."""
    put("counter", b"0")

    def increment():
        while True:
            answer = s3.get_object(Bucket=bucket, Key="counter")
            value = int(answer["Body"].read())
            try:
                put("counter", str(value + 1).encode(), IfMatch=answer["ETag"])
                return
            except ClientError as err:
                if err.response["Error"]["Code"] not in ("PreconditionFailed", "ConditionalRequestConflict"):
                    raise

    won, codes = race([lambda: [increment() for _ in range(5)] for _ in range(4)])
    assert (won, codes) == (4, [])
    assert get("counter") == b"20"


def complete(s3, bucket, key, **named):
    upload = s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
    etag = s3.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=1, Body=b"multipart")["ETag"]
    parts = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
    return s3.complete_multipart_upload(Bucket=bucket, Key=key, UploadId=upload, MultipartUpload=parts, **named)


def test_complete_conditions(s3, bucket, get, obj):
    with fails(412, "PreconditionFailed"):
        complete(s3, bucket, "c", IfNoneMatch="*")
    with fails(412, "PreconditionFailed"):
        complete(s3, bucket, "c", IfMatch=OTHER)
    assert get("c") == b"conditional"
    complete(s3, bucket, "c", IfMatch=obj["ETag"])
    assert get("c") == b"multipart"
    complete(s3, bucket, "fresh", IfNoneMatch="*")
    assert get("fresh") == b"multipart"


def test_delete_conditions(s3, bucket, get, obj):
    with fails(412, "PreconditionFailed"):
        s3.delete_object(Bucket=bucket, Key="c", IfMatch=OTHER)
    assert get("c") == b"conditional"
    s3.delete_object(Bucket=bucket, Key="c", IfMatch=obj["ETag"])
    with fails(404, "NoSuchKey"):
        get("c")


def test_copy_source_conditions(s3, bucket, get, obj):
    source = {"Bucket": bucket, "Key": "c"}
    etag, then = obj["ETag"], obj["LastModified"]
    bad = [
        {"CopySourceIfMatch": OTHER},
        {"CopySourceIfNoneMatch": etag},
        {"CopySourceIfModifiedSince": then},
        {"CopySourceIfUnmodifiedSince": then - HOUR},
    ]
    for named in bad:
        with fails(412, "PreconditionFailed"):
            s3.copy_object(Bucket=bucket, Key="d", CopySource=source, **named)
    s3.copy_object(Bucket=bucket, Key="d", CopySource=source, CopySourceIfMatch=etag, CopySourceIfModifiedSince=then - HOUR)
    assert get("d") == b"conditional"


def test_copy_destination_conditions(s3, bucket, put, get, obj):
    source = {"Bucket": bucket, "Key": "c"}
    etag = put("d", b"there")["ETag"]
    with fails(412, "PreconditionFailed"):
        s3.copy_object(Bucket=bucket, Key="d", CopySource=source, IfNoneMatch="*")
    with fails(412, "PreconditionFailed"):
        s3.copy_object(Bucket=bucket, Key="d", CopySource=source, IfMatch=OTHER)
    assert get("d") == b"there"
    s3.copy_object(Bucket=bucket, Key="d", CopySource=source, IfMatch=etag)
    assert get("d") == b"conditional"
    s3.copy_object(Bucket=bucket, Key="e", CopySource=source, IfNoneMatch="*")

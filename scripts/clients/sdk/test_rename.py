"""RenameObject, which S3 has for directory buckets and this server for all that were never versioned."""

import concurrent.futures
import datetime
import urllib.parse
import uuid

import pytest
from botocore.exceptions import ClientError

import kit
from errs import fails

HOUR = datetime.timedelta(hours=1)


@pytest.mark.parametrize("size", [0, 100, 100_000, 9 << 20])
def test_rename_keeps_the_object(s3, bucket, put, get, size):
    body = kit.payload(size)
    put("from", body, Metadata={"a": "b"}, ContentType="text/x", Tagging="t=v")
    was = s3.head_object(Bucket=bucket, Key="from", ChecksumMode="ENABLED")
    s3.rename_object(Bucket=bucket, Key="to", RenameSource=f"{bucket}/from")
    now = s3.head_object(Bucket=bucket, Key="to", ChecksumMode="ENABLED")
    for name in ("ETag", "LastModified", "ContentLength", "Metadata", "ContentType", "ChecksumType"):
        assert was[name] == now[name], name
    assert get("to") == body
    assert s3.get_object_tagging(Bucket=bucket, Key="to")["TagSet"] == [{"Key": "t", "Value": "v"}]
    with fails(404, "NoSuchKey"):
        get("from")
    assert [o["Key"] for o in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["to"]


def test_multipart_and_again(s3, bucket, get):
    upload = s3.create_multipart_upload(Bucket=bucket, Key="m")["UploadId"]
    parts = [kit.payload(5 << 20), b"the end"]
    etags = [s3.upload_part(Bucket=bucket, Key="m", UploadId=upload, PartNumber=i + 1, Body=p)["ETag"] for i, p in enumerate(parts)]
    listed = [{"PartNumber": i + 1, "ETag": e} for i, e in enumerate(etags)]
    etag = s3.complete_multipart_upload(Bucket=bucket, Key="m", UploadId=upload, MultipartUpload={"Parts": listed})["ETag"]
    for to in ("n", "dir/ö p", "m"):
        held = s3.list_objects_v2(Bucket=bucket)["Contents"][0]["Key"]
        s3.rename_object(Bucket=bucket, Key=to, RenameSource=urllib.parse.quote(f"{bucket}/{held}"))
    assert get("m") == b"".join(parts)
    assert s3.head_object(Bucket=bucket, Key="m")["ETag"] == etag
    assert s3.head_object(Bucket=bucket, Key="m", PartNumber=2)["ContentLength"] == len(parts[1])


def test_conditions(s3, bucket, put, get):
    etag = put("from", b"new")["ETag"]
    old = put("to", b"old")["ETag"]
    then = s3.head_object(Bucket=bucket, Key="to")["LastModified"]
    for failing in (
        {"DestinationIfNoneMatch": "*"},
        {"DestinationIfMatch": etag},
        {"DestinationIfUnmodifiedSince": then - HOUR},
        {"DestinationIfModifiedSince": then + HOUR},
        {"SourceIfMatch": old},
        {"SourceIfNoneMatch": etag},
        {"SourceIfNoneMatch": "*"},
        {"SourceIfModifiedSince": then + HOUR},
        {"SourceIfUnmodifiedSince": then - HOUR},
    ):
        with fails(412, "PreconditionFailed"):
            s3.rename_object(Bucket=bucket, Key="to", RenameSource=f"{bucket}/from", **failing)
    assert (get("from"), get("to")) == (b"new", b"old")
    s3.rename_object(
        Bucket=bucket, Key="to", RenameSource=f"{bucket}/from", DestinationIfMatch=old, SourceIfMatch=etag, SourceIfModifiedSince=then - HOUR
    )
    assert get("to") == b"new"
    with fails(404, "NoSuchKey"):
        s3.rename_object(Bucket=bucket, Key="to", RenameSource=f"{bucket}/from")


def test_token(s3, bucket, put, get):
    token = str(uuid.uuid4())
    put("from", b"one")
    for _ in range(2):
        s3.rename_object(Bucket=bucket, Key="to", RenameSource=f"{bucket}/from", ClientToken=token)
    put("from", b"two")
    s3.rename_object(Bucket=bucket, Key="to", RenameSource=f"{bucket}/from", ClientToken=token)
    assert (get("from"), get("to")) == (b"two", b"one")
    with fails(400, "IdempotencyParameterMismatch"):
        s3.rename_object(Bucket=bucket, Key="to", RenameSource=f"{bucket}/other", ClientToken=token)
    s3.rename_object(Bucket=bucket, Key="to", RenameSource=f"{bucket}/from")
    assert get("to") == b"two"


def test_refused(s3, bucket, put):
    put("from", b"x")
    with fails(400, "InvalidRequest"):
        s3.rename_object(Bucket=bucket, Key="dir/", RenameSource=f"{bucket}/from")
    with fails(400, "InvalidArgument"):
        s3.rename_object(Bucket=bucket, Key="to", RenameSource="/another-bucket/from")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    with fails(409, "InvalidBucketState"):
        s3.rename_object(Bucket=bucket, Key="to", RenameSource=f"{bucket}/from")


def test_one_of_many_wins(s3, bucket, put, get):
    """Many commit by renaming to one name that must not be there; a reader sees nothing or one of them whole."""
    bodies = {f"s{i}": kit.payload(200_000)[i:] for i in range(8)}
    for key, body in bodies.items():
        put(key, body)
    known = {kit.md5(b) for b in bodies.values()}

    def rename(key):
        try:
            s3.rename_object(Bucket=bucket, Key="commit", RenameSource=f"{bucket}/{key}", DestinationIfNoneMatch="*")
            return 1
        except ClientError as e:
            assert e.response["Error"]["Code"] == "PreconditionFailed", e
            return 0

    def read(_):
        try:
            return kit.md5(get("commit")) in known
        except ClientError as e:
            return e.response["Error"]["Code"] == "NoSuchKey"

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        reads = pool.map(read, range(30))
        assert sum(pool.map(rename, bodies)) == 1
        assert all(reads)

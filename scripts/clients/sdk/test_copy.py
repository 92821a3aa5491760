"""CopyObject."""

import pytest

import kit
from errs import fails


@pytest.mark.parametrize("size", [0, 100, 70000, 3 * kit.MIB])
def test_copy(s3, bucket, put, get, size):
    body = kit.payload(size)
    source = put("from", body, ContentType="text/x-a", CacheControl="no-store", Metadata={"m": "1"}, Tagging="t=1")
    answer = s3.copy_object(Bucket=bucket, Key="to", CopySource={"Bucket": bucket, "Key": "from"})["CopyObjectResult"]
    assert answer["ETag"] == source["ETag"] and answer["LastModified"]
    head = s3.head_object(Bucket=bucket, Key="to")
    assert (head["ContentType"], head["CacheControl"], head["Metadata"]) == ("text/x-a", "no-store", {"m": "1"})
    assert s3.get_object_tagging(Bucket=bucket, Key="to")["TagSet"] == [{"Key": "t", "Value": "1"}]
    s3.delete_object(Bucket=bucket, Key="from")
    assert get("to") == body


def test_replace(s3, bucket, put):
    put("from", b"x", ContentType="text/x-a", Metadata={"m": "1"}, Tagging="t=1")
    s3.copy_object(
        Bucket=bucket,
        Key="to",
        CopySource=f"{bucket}/from",
        MetadataDirective="REPLACE",
        Metadata={"n": "2"},
        ContentType="text/x-b",
        TaggingDirective="REPLACE",
        Tagging="u=2",
    )
    head = s3.head_object(Bucket=bucket, Key="to")
    assert (head["ContentType"], head["Metadata"]) == ("text/x-b", {"n": "2"})
    assert s3.get_object_tagging(Bucket=bucket, Key="to")["TagSet"] == [{"Key": "u", "Value": "2"}]


def test_onto_itself(s3, bucket, put, get):
    put("k", b"body", Metadata={"m": "1"})
    with fails(400, "InvalidRequest"):
        s3.copy_object(Bucket=bucket, Key="k", CopySource={"Bucket": bucket, "Key": "k"})
    s3.copy_object(
        Bucket=bucket, Key="k", CopySource={"Bucket": bucket, "Key": "k"}, MetadataDirective="REPLACE", Metadata={"m": "2"}
    )
    assert get("k") == b"body"
    assert s3.head_object(Bucket=bucket, Key="k")["Metadata"] == {"m": "2"}
    s3.copy_object(Bucket=bucket, Key="k", CopySource={"Bucket": bucket, "Key": "k"}, StorageClass="STANDARD")
    assert get("k") == b"body"


def test_between_buckets(s3, bucket, put):
    put("dir/odd +%key \u00e9", b"across")
    other = kit.bucket_name("other")
    s3.create_bucket(Bucket=other)
    try:
        s3.copy_object(Bucket=other, Key="k", CopySource={"Bucket": bucket, "Key": "dir/odd +%key \u00e9"})
        assert s3.get_object(Bucket=other, Key="k")["Body"].read() == b"across"
    finally:
        kit.empty_bucket(s3, other)


def test_missing_source(s3, bucket):
    with fails(404, "NoSuchKey"):
        s3.copy_object(Bucket=bucket, Key="to", CopySource={"Bucket": bucket, "Key": "none"})
    with fails(404, "NoSuchBucket"):
        s3.copy_object(Bucket=bucket, Key="to", CopySource={"Bucket": kit.bucket_name("none"), "Key": "none"})
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_of_a_multipart_object(s3, bucket, get):
    """The copy is one part, so its ETag is the MD5 of the bytes."""
    upload = s3.create_multipart_upload(Bucket=bucket, Key="m", ContentType="a/b")["UploadId"]
    body = kit.payload(5 * kit.MIB) + b"tail"
    parts = []
    for number, piece in ((1, body[: 5 * kit.MIB]), (2, b"tail")):
        etag = s3.upload_part(Bucket=bucket, Key="m", UploadId=upload, PartNumber=number, Body=piece)["ETag"]
        parts.append({"PartNumber": number, "ETag": etag})
    s3.complete_multipart_upload(Bucket=bucket, Key="m", UploadId=upload, MultipartUpload={"Parts": parts})
    answer = s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "m"})
    assert answer["CopyObjectResult"]["ETag"] == f'"{kit.md5(body)}"'
    assert get("copy") == body
    assert s3.head_object(Bucket=bucket, Key="copy")["ContentType"] == "a/b"


def test_adds_a_checksum(s3, bucket, put):
    put("from", b"hello")
    s3.copy_object(Bucket=bucket, Key="to", CopySource={"Bucket": bucket, "Key": "from"}, ChecksumAlgorithm="SHA256")
    head = s3.head_object(Bucket=bucket, Key="to", ChecksumMode="ENABLED")
    assert head["ChecksumSHA256"] == "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="

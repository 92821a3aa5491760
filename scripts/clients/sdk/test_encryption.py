"""Server-side encryption."""

import hashlib

import pytest

import kit
from errs import fails

KEY = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": bytes(range(32))}
OTHER = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": bytes(range(1, 33))}
SIZES = [0, 1, 65535, 65536, 65537, 3 * kit.MIB + 5]


@pytest.mark.parametrize("size", SIZES)
def test_customer_key(s3, bucket, put, size):
    body = kit.payload(size)
    stored = put("k", body, **KEY)
    assert stored["SSECustomerAlgorithm"] == "AES256"
    if size:
        assert stored["ETag"].strip('"') != hashlib.md5(body).hexdigest()
    got = s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED", **KEY)
    assert got["Body"].read() == body and got["ETag"] == stored["ETag"] and got["ContentLength"] == size
    assert s3.head_object(Bucket=bucket, Key="k", **KEY)["SSECustomerKeyMD5"] == stored["SSECustomerKeyMD5"]
    assert s3.list_objects_v2(Bucket=bucket)["Contents"][0]["Size"] == size
    with fails(400, "InvalidRequest"):
        s3.get_object(Bucket=bucket, Key="k")
    with fails(400):
        s3.head_object(Bucket=bucket, Key="k")
    with fails(403, "AccessDenied"):
        s3.get_object(Bucket=bucket, Key="k", **OTHER)


@pytest.mark.parametrize("how", [{"ServerSideEncryption": "AES256"}, {"ServerSideEncryption": "aws:kms"}, {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "weft", "BucketKeyEnabled": True}])
@pytest.mark.parametrize("size", SIZES)
def test_server_keys(s3, bucket, put, size, how):
    body = kit.payload(size)
    stored = put("k", body, **how)
    got = s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert got["Body"].read() == body
    assert stored["ServerSideEncryption"] == got["ServerSideEncryption"] == how["ServerSideEncryption"]
    if how["ServerSideEncryption"] == "AES256":
        assert got["ETag"].strip('"') == hashlib.md5(body).hexdigest()
    else:
        assert got["SSEKMSKeyId"] == "weft"
    assert got.get("BucketKeyEnabled", False) == how.get("BucketKeyEnabled", False)


def test_ranges(s3, bucket, put):
    body = kit.payload(400_000)
    put("k", body, **KEY)
    for first, last in [(0, 0), (65535, 65536), (65536, 131071), (1, 399_999), (399_999, 399_999), (131_000, 300_000)]:
        got = s3.get_object(Bucket=bucket, Key="k", Range=f"bytes={first}-{last}", **KEY)
        assert got["Body"].read() == body[first : last + 1]
        assert got["ContentRange"] == f"bytes {first}-{last}/400000"


def test_errors(s3, bucket, put):
    with fails(400, "KMS.NotFoundException"):
        put("k", b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId="nobody")
    with fails(400, "InvalidArgument"):
        put("k", b"x", ServerSideEncryption="rot13")
    with fails(400, "InvalidArgument"):
        put("k", b"x", SSEKMSKeyId="weft")
    with fails(400, "InvalidArgument"):
        put("k", b"x", SSECustomerAlgorithm="AES256", SSECustomerKey=b"short")
    with fails(400, "InvalidEncryptionAlgorithmError"):
        put("k", b"x", SSECustomerAlgorithm="DES", SSECustomerKey=bytes(32))
    put("plain", b"x")
    with fails(400, "InvalidRequest"):
        s3.get_object(Bucket=bucket, Key="plain", **KEY)


@pytest.mark.parametrize("how", [KEY, {"ServerSideEncryption": "aws:kms"}, {"ServerSideEncryption": "AES256"}])
def test_multipart(s3, bucket, put, how):
    put("source", b"tail", **OTHER)
    body = kit.payload(5 * kit.MIB + 17)
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k", **how)
    named = {"Bucket": bucket, "Key": "k", "UploadId": upload["UploadId"]}
    mine = how if "SSECustomerKey" in how else {}
    parts = [s3.upload_part(PartNumber=1, Body=body, **named, **mine)["ETag"]]
    if mine:
        with fails(400, "InvalidRequest"):
            s3.upload_part(PartNumber=2, Body=b"x", **named)
        with fails(400, "InvalidRequest"):
            s3.upload_part(PartNumber=2, Body=b"x", **named, **OTHER)
    source = {"CopySourceSSECustomerAlgorithm": "AES256", "CopySourceSSECustomerKey": OTHER["SSECustomerKey"]}
    copied = s3.upload_part_copy(PartNumber=2, CopySource=f"{bucket}/source", **named, **mine, **source)
    parts.append(copied["CopyPartResult"]["ETag"])
    s3.complete_multipart_upload(**named, MultipartUpload={"Parts": [{"PartNumber": i + 1, "ETag": e} for i, e in enumerate(parts)]})
    got = s3.get_object(Bucket=bucket, Key="k", **mine)
    assert got["Body"].read() == body + b"tail" and got["ETag"].endswith('-2"')
    edge = s3.get_object(Bucket=bucket, Key="k", Range=f"bytes={len(body) - 3}-{len(body) + 1}", **mine)
    assert edge["Body"].read() == body[-3:] + b"ta"


def test_copy(s3, bucket, put, get):
    put("a", b"body", **KEY)
    source = {"Bucket": bucket, "Key": "b", "CopySource": f"{bucket}/a"}
    theirs = {"CopySourceSSECustomerAlgorithm": "AES256", "CopySourceSSECustomerKey": KEY["SSECustomerKey"]}
    with fails(400, "InvalidRequest"):
        s3.copy_object(**source)
    with fails(403, "AccessDenied"):
        s3.copy_object(**source, CopySourceSSECustomerAlgorithm="AES256", CopySourceSSECustomerKey=OTHER["SSECustomerKey"])
    s3.copy_object(**source, **theirs)
    assert get("b") == b"body"
    assert s3.copy_object(**source, **theirs, ServerSideEncryption="aws:kms")["SSEKMSKeyId"] == "weft"
    assert get("b") == b"body"


def test_bucket_default(s3, bucket, put):
    with fails(404, "ServerSideEncryptionConfigurationNotFoundError"):
        s3.get_bucket_encryption(Bucket=bucket)
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "weft"}, "BucketKeyEnabled": True}
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})
    assert s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"] == [rule]
    stored = put("k", b"x")
    assert (stored["ServerSideEncryption"], stored["SSEKMSKeyId"], stored["BucketKeyEnabled"]) == ("aws:kms", "weft", True)
    assert put("k", b"x", ServerSideEncryption="AES256")["ServerSideEncryption"] == "AES256"
    s3.delete_bucket_encryption(Bucket=bucket)
    assert "ServerSideEncryption" not in put("k", b"x")

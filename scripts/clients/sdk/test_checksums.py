"""Every checksum algorithm boto3 has: on puts, parts, whole multipart objects, and their refusal when wrong."""

import base64
import binascii
import hashlib

import awscrt.checksums as crt
import boto3
import pytest

import kit
from errs import fails

FIVE = 5 * kit.MIB


def digest(algorithm, data):
    """The raw checksum, big-endian, computed on this side."""
    integers = {
        "CRC32": (lambda d: binascii.crc32(d), 4),
        "CRC32C": (lambda d: crt.crc32c(d), 4),
        "CRC64NVME": (lambda d: crt.crc64nvme(d), 8),
    }
    if algorithm in integers:
        function, width = integers[algorithm]
        return function(data).to_bytes(width, "big")
    if algorithm.startswith("XXHASH"):
        return xxhash(algorithm, data)
    return hashlib.new(algorithm.lower(), data).digest()


def xxhash(algorithm, data):
    make = {"XXHASH64": crt.XXHash.new_xxhash64, "XXHASH3": crt.XXHash.new_xxhash3_64, "XXHASH128": crt.XXHash.new_xxhash3_128}
    state = make[algorithm]()
    state.update(data)
    return state.finalize()


def b64(raw):
    return base64.b64encode(raw).decode()


CRCS = ["CRC32", "CRC32C", "CRC64NVME"]
OTHERS = ["SHA1", "SHA256", "SHA512", "MD5", "XXHASH64", "XXHASH3", "XXHASH128"]
EVERY = CRCS + OTHERS


def field(algorithm):
    return "Checksum" + algorithm


def test_the_list_is_complete():
    """A new boto3 with a new algorithm must make this suite grow."""
    shape = boto3.client("s3").meta.service_model.shape_for("ChecksumAlgorithm")
    assert sorted(shape.enum) == sorted(EVERY)


@pytest.mark.parametrize("algorithm", EVERY)
@pytest.mark.parametrize("size", [0, 9, 100000, 3 * kit.MIB])
def test_put(s3, bucket, put, algorithm, size):
    body = kit.payload(size)
    want = b64(digest(algorithm, body))
    answer = put("k", body, **{field(algorithm): want})
    assert answer[field(algorithm)] == want
    for call in (s3.head_object, s3.get_object):
        got = call(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
        assert (got[field(algorithm)], got["ChecksumType"]) == (want, "FULL_OBJECT")
    assert s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")["Body"].read() == body
    plain = s3.head_object(Bucket=bucket, Key="k")
    assert field(algorithm) not in plain
    listed = s3.list_objects_v2(Bucket=bucket)["Contents"][0]
    assert (listed["ChecksumAlgorithm"], listed["ChecksumType"]) == ([algorithm], "FULL_OBJECT")
    attributes = s3.get_object_attributes(Bucket=bucket, Key="k", ObjectAttributes=["Checksum"])
    assert attributes["Checksum"] == {field(algorithm): want, "ChecksumType": "FULL_OBJECT"}


@pytest.mark.parametrize("algorithm", [a for a in EVERY if a != "MD5"])
def test_botocore_computes_it(s3, bucket, put, algorithm):
    body = kit.payload(70000)
    assert put("k", body, ChecksumAlgorithm=algorithm)[field(algorithm)] == b64(digest(algorithm, body))


@pytest.mark.parametrize("algorithm", EVERY)
def test_wrong_checksum(s3, bucket, put, get, algorithm):
    put("k", b"kept")
    wrong = {field(algorithm): b64(digest(algorithm, b"other bytes"))}
    with fails(400, "BadDigest"):
        put("k", b"these bytes", **wrong)
    assert get("k") == b"kept"
    with fails(400, "InvalidRequest"):
        put("k", b"these bytes", **{field(algorithm): "AAA="})
    upload = s3.create_multipart_upload(Bucket=bucket, Key="m", ChecksumAlgorithm=algorithm)["UploadId"]
    with fails(400, "BadDigest"):
        s3.upload_part(Bucket=bucket, Key="m", UploadId=upload, PartNumber=1, Body=b"these bytes", **wrong)


def test_content_md5(put, get):
    body = b"with an MD5"
    put("k", body, ContentMD5=b64(hashlib.md5(body).digest()))
    with fails(400, "BadDigest"):
        put("k", b"other", ContentMD5=b64(hashlib.md5(body).digest()))
    with fails(400, "InvalidDigest"):
        put("k", body, ContentMD5="not base64 of 16 bytes")
    assert get("k") == body


def test_default_is_crc64nvme(bucket, make_client):
    """S3 adds a CRC-64/NVME to an object whose client sent no checksum."""
    s3 = make_client(request_checksum_calculation="when_required")
    body = kit.payload(200000)
    s3.put_object(Bucket=bucket, Key="k", Body=body)
    head = s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert head["ChecksumCRC64NVME"] == b64(digest("CRC64NVME", body))


def start(s3, bucket, algorithm, kind):
    answer = s3.create_multipart_upload(Bucket=bucket, Key="m", ChecksumAlgorithm=algorithm, ChecksumType=kind)
    assert (answer["ChecksumAlgorithm"], answer["ChecksumType"]) == (algorithm, kind)
    return answer["UploadId"]


def upload_parts(s3, bucket, algorithm, upload, bodies):
    parts = []
    for number, body in enumerate(bodies, 1):
        value = {field(algorithm): b64(digest(algorithm, body))}
        answer = s3.upload_part(Bucket=bucket, Key="m", UploadId=upload, PartNumber=number, Body=body, **value)
        assert answer[field(algorithm)] == value[field(algorithm)]
        parts.append({"PartNumber": number, "ETag": answer["ETag"], **value})
    return parts


BODIES = [kit.payload(FIVE, "c1"), kit.payload(FIVE + 5, "c2"), kit.payload(77, "c3")]


@pytest.mark.parametrize("algorithm", [a for a in EVERY if a != "CRC64NVME"])
def test_composite(s3, bucket, algorithm):
    upload = start(s3, bucket, algorithm, "COMPOSITE")
    parts = upload_parts(s3, bucket, algorithm, upload, BODIES)
    listed = s3.list_parts(Bucket=bucket, Key="m", UploadId=upload)
    assert (listed["ChecksumAlgorithm"], listed["ChecksumType"]) == (algorithm, "COMPOSITE")
    assert [p[field(algorithm)] for p in listed["Parts"]] == [p[field(algorithm)] for p in parts]
    answer = s3.complete_multipart_upload(Bucket=bucket, Key="m", UploadId=upload, MultipartUpload={"Parts": parts})
    want = b64(digest(algorithm, b"".join(digest(algorithm, b) for b in BODIES))) + "-3"
    assert (answer[field(algorithm)], answer["ChecksumType"]) == (want, "COMPOSITE")
    head = s3.head_object(Bucket=bucket, Key="m", ChecksumMode="ENABLED")
    assert (head[field(algorithm)], head["ChecksumType"]) == (want, "COMPOSITE")
    part = s3.get_object(Bucket=bucket, Key="m", PartNumber=2, ChecksumMode="ENABLED")
    assert part["Body"].read() == BODIES[1]
    got = s3.get_object_attributes(Bucket=bucket, Key="m", ObjectAttributes=["Checksum", "ObjectParts", "ObjectSize"])
    assert got["Checksum"]["ChecksumType"] == "COMPOSITE"
    assert got["Checksum"][field(algorithm)] == want.removesuffix("-3")
    assert got["ObjectParts"]["TotalPartsCount"] == 3
    assert [p[field(algorithm)] for p in got["ObjectParts"]["Parts"]] == [p[field(algorithm)] for p in parts]


@pytest.mark.parametrize("algorithm", CRCS)
def test_full_object(s3, bucket, algorithm):
    upload = start(s3, bucket, algorithm, "FULL_OBJECT")
    parts = upload_parts(s3, bucket, algorithm, upload, BODIES)
    want = b64(digest(algorithm, b"".join(BODIES)))
    named = {"Bucket": bucket, "Key": "m", "UploadId": upload, "MultipartUpload": {"Parts": parts}}
    wrong = b64(digest(algorithm, b"wrong"))
    with fails(400, "BadDigest", "InvalidRequest"):
        s3.complete_multipart_upload(**named, ChecksumType="FULL_OBJECT", **{field(algorithm): wrong})
    answer = s3.complete_multipart_upload(**named, ChecksumType="FULL_OBJECT", **{field(algorithm): want})
    assert (answer[field(algorithm)], answer["ChecksumType"]) == (want, "FULL_OBJECT")
    got = s3.get_object(Bucket=bucket, Key="m", ChecksumMode="ENABLED")
    assert (got[field(algorithm)], got["ChecksumType"]) == (want, "FULL_OBJECT")
    assert got["Body"].read() == b"".join(BODIES)


@pytest.mark.parametrize(("algorithm", "kind"), [("CRC64NVME", "COMPOSITE"), ("SHA1", "FULL_OBJECT"), ("SHA256", "FULL_OBJECT")])
def test_impossible_kinds(s3, bucket, algorithm, kind):
    with fails(400, "InvalidRequest"):
        s3.create_multipart_upload(Bucket=bucket, Key="m", ChecksumAlgorithm=algorithm, ChecksumType=kind)


def test_wrong_part_checksum_in_complete(s3, bucket):
    upload = start(s3, bucket, "SHA256", "COMPOSITE")
    parts = upload_parts(s3, bucket, "SHA256", upload, [b"one part"])
    parts[0]["ChecksumSHA256"] = b64(digest("SHA256", b"another"))
    with fails(400, "InvalidPart", "BadDigest"):
        s3.complete_multipart_upload(Bucket=bucket, Key="m", UploadId=upload, MultipartUpload={"Parts": parts})


def test_part_of_another_algorithm(s3, bucket):
    upload = start(s3, bucket, "SHA256", "COMPOSITE")
    with fails(400, "InvalidRequest"):
        s3.upload_part(
            Bucket=bucket, Key="m", UploadId=upload, PartNumber=1, Body=b"x", ChecksumCRC32C=b64(digest("CRC32C", b"x"))
        )


def test_attributes(s3, bucket, put):
    etag = put("k", b"12345")["ETag"]
    every = ["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"]
    got = s3.get_object_attributes(Bucket=bucket, Key="k", ObjectAttributes=every)
    assert (got["ETag"], got["ObjectSize"], got["StorageClass"]) == (etag.strip('"'), 5, "STANDARD")
    assert "ObjectParts" not in got and got["LastModified"]
    only = s3.get_object_attributes(Bucket=bucket, Key="k", ObjectAttributes=["ObjectSize"])
    assert "ETag" not in only and only["ObjectSize"] == 5
    with fails(404, "NoSuchKey"):
        s3.get_object_attributes(Bucket=bucket, Key="none", ObjectAttributes=every)


def test_attributes_pages(s3, bucket):
    upload = start(s3, bucket, "CRC32", "COMPOSITE")
    parts = upload_parts(s3, bucket, "CRC32", upload, BODIES)
    s3.complete_multipart_upload(Bucket=bucket, Key="m", UploadId=upload, MultipartUpload={"Parts": parts})
    named = {"Bucket": bucket, "Key": "m", "ObjectAttributes": ["ObjectParts"]}
    first = s3.get_object_attributes(**named, MaxParts=2)["ObjectParts"]
    assert [(p["PartNumber"], p["Size"]) for p in first["Parts"]] == [(1, FIVE), (2, FIVE + 5)]
    assert first["IsTruncated"] is True and first["NextPartNumberMarker"] == 2
    rest = s3.get_object_attributes(**named, PartNumberMarker=2)["ObjectParts"]
    assert [(p["PartNumber"], p["Size"]) for p in rest["Parts"]] == [(3, 77)]
    assert rest["IsTruncated"] is False

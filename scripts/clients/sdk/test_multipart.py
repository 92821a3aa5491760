"""Multipart uploads: parts, copies of ranges, listings, completion and its errors."""

import concurrent.futures

import pytest
from botocore.exceptions import ClientError

import kit
from errs import fails

FIVE = 5 * kit.MIB


@pytest.fixture
def mpu(s3, bucket):
    """mpu(key) starts an upload and returns an Upload."""

    def start(key="m", **named):
        return Upload(s3, bucket, key, s3.create_multipart_upload(Bucket=bucket, Key=key, **named)["UploadId"])

    return start


class Upload:
    """One multipart upload; remembers the parts it sent."""

    def __init__(self, s3, bucket, key, upload_id):
        self.s3, self.parts = s3, {}
        self.named = {"Bucket": bucket, "Key": key, "UploadId": upload_id}

    def part(self, number, body, **named):
        answer = self.s3.upload_part(PartNumber=number, Body=body, **self.named, **named)
        self.parts[number] = {"PartNumber": number, "ETag": answer["ETag"]}
        return answer

    def copy(self, number, source, span=None, **named):
        if span:
            named["CopySourceRange"] = span
        answer = self.s3.upload_part_copy(PartNumber=number, CopySource=source, **self.named, **named)
        self.parts[number] = {"PartNumber": number, "ETag": answer["CopyPartResult"]["ETag"]}
        return answer

    def complete(self, numbers=None, **named):
        chosen = [self.parts[n] for n in (numbers or sorted(self.parts))]
        return self.s3.complete_multipart_upload(MultipartUpload={"Parts": chosen}, **self.named, **named)

    def abort(self):
        return self.s3.abort_multipart_upload(**self.named)

    def list(self, **named):
        return self.s3.list_parts(**self.named, **named)


def multipart_etag(*bodies):
    digests = b"".join(bytes.fromhex(kit.md5(b)) for b in bodies)
    return f'"{kit.md5(digests)}-{len(bodies)}"'


def test_complete(s3, bucket, mpu, get):
    bodies = [kit.payload(FIVE + 17, 1), kit.payload(FIVE, 2), kit.payload(1234, 3)]
    upload = mpu("m", ContentType="x/y", Metadata={"a": "b"}, Tagging="t=1")
    for number in (3, 1, 2):  # in any order
        answer = upload.part(number, bodies[number - 1])
        assert answer["ETag"] == f'"{kit.md5(bodies[number - 1])}"'
    with fails(404, "NoSuchKey"):
        get("m")
    answer = upload.complete()
    assert answer["ETag"] == multipart_etag(*bodies)
    assert (answer["Bucket"], answer["Key"]) == (bucket, "m")
    assert get("m") == b"".join(bodies)
    head = s3.head_object(Bucket=bucket, Key="m")
    assert (head["ContentType"], head["Metadata"], head["ETag"]) == ("x/y", {"a": "b"}, answer["ETag"])
    assert s3.get_object_tagging(Bucket=bucket, Key="m")["TagSet"] == [{"Key": "t", "Value": "1"}]
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)
    with fails(404, "NoSuchUpload"):
        upload.list()


def test_replaced_and_left_out_parts(mpu, get):
    upload = mpu()
    upload.part(1, kit.payload(FIVE, "old"))
    upload.part(1, kit.payload(FIVE, "new"))
    upload.part(2, kit.payload(FIVE, "left out"))
    upload.part(10000, b"end")
    upload.complete([1, 10000])
    assert get("m") == kit.payload(FIVE, "new") + b"end"


def test_many_parts_at_once(mpu, get):
    upload = mpu()
    bodies = {n: kit.payload(FIVE, n) for n in range(1, 9)}
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: upload.part(n, bodies[n]), bodies))
    upload.complete()
    assert get("m") == b"".join(bodies.values())


def test_one_small_part(mpu, get):
    upload = mpu()
    upload.part(7, b"small")
    assert upload.complete()["ETag"] == multipart_etag(b"small")
    assert get("m") == b"small"


def test_overwrites_object(mpu, put, get):
    put("m", b"before")
    upload = mpu()
    upload.part(1, b"after")
    assert get("m") == b"before"
    upload.complete()
    assert get("m") == b"after"


def test_two_uploads_of_one_key(mpu, get):
    one, two = mpu(), mpu()
    one.part(1, b"one")
    two.part(1, b"two")
    two.complete()
    assert get("m") == b"two"
    one.complete()
    assert get("m") == b"one"


def test_entity_too_small(mpu, get):
    upload = mpu()
    upload.part(1, b"too small")
    upload.part(2, b"end")
    with fails(400, "EntityTooSmall"):
        upload.complete()
    with fails(404, "NoSuchKey"):
        get("m")
    upload.part(1, kit.payload(FIVE))  # the upload lives on
    upload.complete()
    assert get("m") == kit.payload(FIVE) + b"end"


def test_invalid_part(mpu):
    upload = mpu()
    upload.part(1, kit.payload(FIVE))
    upload.parts[2] = {"PartNumber": 2, "ETag": upload.parts[1]["ETag"]}
    with fails(400, "InvalidPart"):
        upload.complete()
    upload.parts = {1: {"PartNumber": 1, "ETag": '"0123456789abcdef0123456789abcdef"'}}
    with fails(400, "InvalidPart"):
        upload.complete()


def test_invalid_order(mpu):
    upload = mpu()
    for number in (1, 2):
        upload.part(number, kit.payload(FIVE))
    with fails(400, "InvalidPartOrder"):
        upload.complete([2, 1])
    with fails(400, "InvalidPartOrder"):
        upload.complete([1, 1])


def test_no_parts(mpu):
    upload = mpu()
    with fails(400, "MalformedXML", "InvalidRequest"):
        upload.s3.complete_multipart_upload(MultipartUpload={"Parts": []}, **upload.named)


@pytest.mark.parametrize("number", [0, 10001, -1])
def test_part_number_out_of_range(mpu, number):
    with fails(400, "InvalidArgument"):
        mpu().part(number, b"x")


def test_no_such_upload(s3, bucket, mpu, put):
    put("src", b"x")
    gone = mpu()
    gone.part(1, b"x")
    assert gone.abort()["ResponseMetadata"]["HTTPStatusCode"] == 204
    unknown = Upload(s3, bucket, "m", "no-such-upload")
    other_key = Upload(s3, bucket, "other", mpu().named["UploadId"])
    for upload in (gone, unknown, other_key):
        upload.parts = {1: {"PartNumber": 1, "ETag": '"d41d8cd98f00b204e9800998ecf8427e"'}}
        calls = (
            lambda u=upload: u.part(1, b"x"),
            lambda u=upload: u.copy(1, {"Bucket": bucket, "Key": "src"}),
            upload.list,
            upload.complete,
            upload.abort,
        )
        for call in calls:
            with fails(404, "NoSuchUpload"):
                call()


def test_list_parts(mpu):
    upload = mpu("dir/key")
    for number in (1, 2, 3, 5, 8):
        upload.part(number, kit.payload(1000 + number))
    listed = upload.list()
    assert [(p["PartNumber"], p["Size"]) for p in listed["Parts"]] == [(n, 1000 + n) for n in (1, 2, 3, 5, 8)]
    assert all(p["ETag"] == upload.parts[p["PartNumber"]]["ETag"] and p["LastModified"] for p in listed["Parts"])
    assert (listed["IsTruncated"], listed["Key"], listed["StorageClass"]) == (False, "dir/key", "STANDARD")
    first = upload.list(MaxParts=2)
    assert [p["PartNumber"] for p in first["Parts"]] == [1, 2]
    assert first["IsTruncated"] is True and first["NextPartNumberMarker"] == 2
    rest = upload.list(PartNumberMarker=2)
    assert [p["PartNumber"] for p in rest["Parts"]] == [3, 5, 8]


def test_list_uploads(s3, bucket, mpu):
    uploads = [mpu(k) for k in ("a", "a", "dir/1", "dir/2", "dir/sub/3", "z")]
    want = sorted((u.named["Key"], u.named["UploadId"]) for u in uploads)

    def found(answer):
        return sorted((u["Key"], u["UploadId"]) for u in answer.get("Uploads", []))

    everything = s3.list_multipart_uploads(Bucket=bucket)
    assert found(everything) == want
    assert all(u["Initiated"] and u["StorageClass"] == "STANDARD" for u in everything["Uploads"])
    assert found(s3.list_multipart_uploads(Bucket=bucket, Prefix="dir/")) == [w for w in want if w[0].startswith("dir/")]
    folders = s3.list_multipart_uploads(Bucket=bucket, Delimiter="/")
    assert [p["Prefix"] for p in folders["CommonPrefixes"]] == ["dir/"]
    assert found(folders) == [w for w in want if "/" not in w[0]]
    for size in (1, 2, 4):
        pages = s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, PaginationConfig={"PageSize": size})
        assert sorted(sum((found(p) for p in pages), [])) == want
    for upload in uploads:
        upload.abort()
    assert found(s3.list_multipart_uploads(Bucket=bucket)) == []


def test_upload_part_copy(bucket, mpu, put, get):
    body = kit.payload(2 * FIVE + 1000)
    put("source key+%", body)
    source = {"Bucket": bucket, "Key": "source key+%"}
    upload = mpu()
    upload.copy(1, source, f"bytes=0-{FIVE - 1}")
    upload.part(2, kit.payload(FIVE, "middle"))
    answer = upload.copy(3, source, f"bytes=100-{len(body) - 1}")
    assert answer["CopyPartResult"]["ETag"] == f'"{kit.md5(body[100:])}"'
    assert answer["CopyPartResult"]["LastModified"]
    upload.complete()
    assert get("m") == body[:FIVE] + kit.payload(FIVE, "middle") + body[100:]


def test_upload_part_copy_whole_and_conditions(s3, bucket, mpu, put, get):
    etag = put("source", b"whole")["ETag"]
    source = {"Bucket": bucket, "Key": "source"}
    upload = mpu()
    with fails(412, "PreconditionFailed"):
        upload.copy(1, source, CopySourceIfNoneMatch=etag)
    upload.copy(1, source, CopySourceIfMatch=etag)
    upload.complete()
    assert get("m") == b"whole"


@pytest.mark.parametrize("span", ["bytes=0-5", "bytes=5-9", "bytes=3-1", "bytes=0-", "0-1", "bytes=-2"])
def test_upload_part_copy_bad_range(bucket, mpu, put, span):
    """Unlike GET, a range past the end is an error, and so is an open one."""
    put("source", b"12345")
    with pytest.raises(ClientError) as caught:
        mpu().copy(1, {"Bucket": bucket, "Key": "source"}, span)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] in (400, 416)
    assert caught.value.response["Error"]["Code"] in ("InvalidArgument", "InvalidRange", "InvalidRequest")


def test_upload_part_copy_missing_source(bucket, mpu):
    with fails(404, "NoSuchKey"):
        mpu().copy(1, {"Bucket": bucket, "Key": "none"})

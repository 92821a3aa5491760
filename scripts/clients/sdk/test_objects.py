"""Single objects: put, get, head, delete, metadata, headers, sizes."""

import datetime
import email.header
import io

import pytest

import kit
import raw
from errs import fails

KIB = 1024


@pytest.mark.parametrize(
    "size",
    [0, 1, 4 * KIB, 32 * KIB - 1, 32 * KIB, 64 * KIB, 64 * KIB + 1, 128 * KIB, kit.MIB, kit.MIB + 7, 5 * kit.MIB, 17 * kit.MIB + 3],
)
def test_round_trip(s3, bucket, put, get, size):
    body = kit.payload(size)
    etag = put("object", body)["ETag"]
    assert etag == f'"{kit.md5(body)}"'
    head = s3.head_object(Bucket=bucket, Key="object")
    assert head["ContentLength"] == size
    assert head["ETag"] == etag
    assert head["AcceptRanges"] == "bytes"
    age = datetime.datetime.now(datetime.timezone.utc) - head["LastModified"]
    assert abs(age.total_seconds()) < 120
    assert get("object") == body


def test_overwrite(put, get):
    for i, size in enumerate([100, 2 * kit.MIB, 0, 70 * KIB]):
        put("again", kit.payload(size, i))
        assert get("again") == kit.payload(size, i)


def test_upload_fileobj_uses_multipart(s3, bucket, get):
    body = kit.payload(21 * kit.MIB)
    s3.upload_fileobj(io.BytesIO(body), bucket, "big")
    assert get("big") == body
    assert s3.head_object(Bucket=bucket, Key="big")["ETag"].endswith('-3"')
    back = io.BytesIO()
    s3.download_fileobj(bucket, "big", back)
    assert back.getvalue() == body


def test_delete(s3, bucket, put):
    put("gone", b"x")
    assert s3.delete_object(Bucket=bucket, Key="gone")["ResponseMetadata"]["HTTPStatusCode"] == 204
    with fails(404, "NoSuchKey"):
        s3.get_object(Bucket=bucket, Key="gone")
    with fails(404):
        s3.head_object(Bucket=bucket, Key="gone")
    s3.delete_object(Bucket=bucket, Key="gone")  # deleting what is not there succeeds


def test_delete_objects(s3, bucket, put):
    keys = [f"k/{i:03}" for i in range(20)] + ["odd & <key>", "new\nline", "a", "a/b"]
    for key in keys:
        put(key, key.encode())
    names = [{"Key": k} for k in keys[:-1] + ["never-there"]]
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": names})
    assert sorted(d["Key"] for d in answer["Deleted"]) == sorted(n["Key"] for n in names)
    assert "Errors" not in answer
    left = s3.list_objects_v2(Bucket=bucket)["Contents"]
    assert [o["Key"] for o in left] == ["a/b"]


def test_delete_objects_quiet(s3, bucket, put):
    put("q", b"")
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "q"}], "Quiet": True})
    assert "Deleted" not in answer and "Errors" not in answer


def test_delete_objects_too_many(s3, bucket):
    names = [{"Key": str(i)} for i in range(1001)]
    with fails(400, "MalformedXML"):
        s3.delete_objects(Bucket=bucket, Delete={"Objects": names})


def test_headers_are_kept(s3, bucket, put):
    named = {
        "ContentType": "application/x-hdf5",
        "CacheControl": "max-age=7",
        "ContentDisposition": 'attachment; filename="a b.h5"',
        "ContentEncoding": "gzip",
        "ContentLanguage": "mi",
        "Metadata": {"step": "00042", "mixed-case": "Value With Case", "empty": ""},
    }
    expires = datetime.datetime(2031, 5, 6, 7, 8, 9, tzinfo=datetime.timezone.utc)
    put("headers", b"x", Expires=expires, **named)
    for answer in (s3.head_object(Bucket=bucket, Key="headers"), s3.get_object(Bucket=bucket, Key="headers")):
        for name, value in named.items():
            assert answer[name] == value, name
        assert answer["ExpiresString"] == "Tue, 06 May 2031 07:08:09 GMT"


def test_default_content_type(s3, bucket, put):
    put("typeless", b"x")
    assert s3.head_object(Bucket=bucket, Key="typeless")["ContentType"] == "binary/octet-stream"


def test_response_overrides(s3, bucket, put):
    put("o", b"x", ContentType="text/plain")
    answer = s3.get_object(
        Bucket=bucket,
        Key="o",
        ResponseContentType="text/csv",
        ResponseContentDisposition="inline",
        ResponseCacheControl="no-cache",
        ResponseContentEncoding="identity",
        ResponseContentLanguage="fr",
    )
    assert answer["ContentType"] == "text/csv"
    assert answer["ContentDisposition"] == "inline"
    assert answer["CacheControl"] == "no-cache"
    assert answer["ContentEncoding"] == "identity"
    assert answer["ContentLanguage"] == "fr"


@pytest.mark.parametrize("value", ["M\u00fcller", "\u6f22\u5b57", "\u00e9\u00e8 and ASCII"])
def test_unicode_metadata(s3, bucket, value):
    """Sent as UTF-8; S3 gives it back as UTF-8 or as an RFC 2047 word."""
    answer = raw.send("PUT", f"/{bucket}/meta", b"x", {"x-amz-meta-name": value})
    assert answer.status == 200, answer
    got = raw.send("GET", f"/{bucket}/meta").headers["x-amz-meta-name"]
    if got.startswith("=?"):
        got = str(email.header.make_header(email.header.decode_header(got)))
    else:
        got = got.encode("latin-1").decode("utf-8")
    assert got == value


def test_encoded_word_metadata(s3, bucket, put):
    """boto3 refuses anything but ASCII, so its users send RFC 2047 words; they must stay readable."""
    put("word", b"", Metadata={"name": "=?UTF-8?B?TcO8bGxlcg==?="})
    got = s3.head_object(Bucket=bucket, Key="word")["Metadata"]["name"]
    assert str(email.header.make_header(email.header.decode_header(got))) == "M\u00fcller"


def test_metadata_too_large(put):
    put("fits", b"", Metadata={"k": "v" * 2000})
    with fails(400, "MetadataTooLarge"):
        put("large", b"", Metadata={"k": "v" * 2100})


def test_storage_class_is_standard(s3, bucket, put):
    put("class", b"x", StorageClass="STANDARD")
    assert s3.list_objects_v2(Bucket=bucket)["Contents"][0]["StorageClass"] == "STANDARD"


def test_missing_key(s3, bucket):
    with fails(404, "NoSuchKey") as caught:
        s3.get_object(Bucket=bucket, Key="never")
    error = caught.value.response["Error"]
    assert error["Key"] == "never" and error["Message"]
    assert caught.value.response["ResponseMetadata"]["RequestId"]


def test_tagging(s3, bucket, put):
    put("tagged", b"x", Tagging="run=7&name=a%20b%2Bc")
    want = {"run": "7", "name": "a b+c"}
    assert tags(s3, bucket, "tagged") == want
    assert s3.get_object(Bucket=bucket, Key="tagged")["TagCount"] == 2
    more = [{"Key": "\u00fcber", "Value": "\u00e9 = /"}]
    s3.put_object_tagging(Bucket=bucket, Key="tagged", Tagging={"TagSet": more})
    assert tags(s3, bucket, "tagged") == {"\u00fcber": "\u00e9 = /"}
    s3.delete_object_tagging(Bucket=bucket, Key="tagged")
    assert tags(s3, bucket, "tagged") == {}
    put("tagged", b"y")
    assert tags(s3, bucket, "tagged") == {}


@pytest.mark.parametrize(
    "tag_set",
    [
        [{"Key": str(i), "Value": ""} for i in range(11)],
        [{"Key": "k" * 129, "Value": ""}],
        [{"Key": "k", "Value": "v" * 257}],
        [{"Key": "same", "Value": "1"}, {"Key": "same", "Value": "2"}],
    ],
    ids=["eleven", "long key", "long value", "twice"],
)
def test_bad_tags(s3, bucket, put, tag_set):
    put("t", b"x", Tagging="kept=1")
    with fails(400, "InvalidTag", "BadRequest", "InvalidTagKey", "InvalidTagValue"):
        s3.put_object_tagging(Bucket=bucket, Key="t", Tagging={"TagSet": tag_set})
    assert tags(s3, bucket, "t") == {"kept": "1"}


def test_tagging_of_missing_key(s3, bucket):
    with fails(404, "NoSuchKey"):
        s3.get_object_tagging(Bucket=bucket, Key="none")


def tags(s3, bucket, key):
    return {t["Key"]: t["Value"] for t in s3.get_object_tagging(Bucket=bucket, Key=key)["TagSet"]}

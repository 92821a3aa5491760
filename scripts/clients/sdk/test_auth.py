"""Authentication, and the framings of a signed body that boto3 does not send over plain HTTP."""

import base64
import binascii
import datetime

import pytest

import kit
import raw
from errs import fails

STREAM = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"


def crc32(data):
    return base64.b64encode(binascii.crc32(data).to_bytes(4, "big")).decode()


def test_wrong_secret(bucket):
    for method, path in (("GET", f"/{bucket}"), ("PUT", f"/{bucket}/k"), ("GET", "/")):
        answer = raw.send(method, path, signer=raw.Signer(secret="wrong"))
        assert (answer.status, answer.code) == (403, "SignatureDoesNotMatch"), answer


def test_unknown_access_key(bucket):
    answer = raw.send("GET", f"/{bucket}", signer=raw.Signer(access="NOBODY"))
    assert (answer.status, answer.code) == (403, "InvalidAccessKeyId"), answer


def test_anonymous(bucket, put):
    put("k", b"private")
    for method, path in (("GET", f"/{bucket}/k"), ("GET", f"/{bucket}"), ("PUT", f"/{bucket}/new"), ("DELETE", f"/{bucket}/k")):
        answer = raw.send(method, path, signer=False)
        assert (answer.status, answer.code) == (403, "AccessDenied"), answer


@pytest.mark.parametrize("minutes", [-20, 20])
def test_skewed_clock(bucket, minutes):
    at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=minutes)
    answer = raw.send("GET", f"/{bucket}", signer=raw.Signer(at=at))
    assert (answer.status, answer.code) == (403, "RequestTimeTooSkewed"), answer


def test_payload_hash_must_be_right(s3, bucket):
    wrong = raw.hashlib.sha256(b"something else").hexdigest()
    answer = raw.send("PUT", f"/{bucket}/k", b"body", payload_hash=wrong)
    assert (answer.status, answer.code) == (400, "XAmzContentSHA256Mismatch"), answer
    with fails(404, "NoSuchKey"):
        s3.get_object(Bucket=bucket, Key="k")


def test_unsigned_payload(bucket, get):
    answer = raw.send("PUT", f"/{bucket}/k", b"body", payload_hash="UNSIGNED-PAYLOAD")
    assert answer.status == 200 and get("k") == b"body"


def put_stream(bucket, body, frame, kind, trailer="", length=None, extra=None):
    headers = {"content-encoding": "aws-chunked", "x-amz-decoded-content-length": str(len(body) if length is None else length)}
    if trailer:
        headers["x-amz-trailer"] = trailer
    headers.update(extra or {})
    return raw.send("PUT", f"/{bucket}/s", headers=headers, payload_hash=kind, frame=frame)


def pieces(body, size=65536):
    return [body[i : i + size] for i in range(0, len(body), size)]


@pytest.mark.parametrize("size", [0, 1, 65536, 300001])
def test_signed_chunks(s3, bucket, get, size):
    body = kit.payload(size)
    answer = put_stream(bucket, body, lambda s: b"".join(s.chunk(p) for p in [*pieces(body), b""]), STREAM)
    assert answer.status == 200, answer
    assert get("s") == body
    assert s3.head_object(Bucket=bucket, Key="s").get("ContentEncoding", "") in ("", "aws-chunked")


def test_signed_chunks_keep_content_encoding(s3, bucket):
    def frame(signer):
        return signer.chunk(b"zipped") + signer.chunk(b"")

    answer = put_stream(bucket, b"zipped", frame, STREAM, extra={"content-encoding": "gzip,aws-chunked"})
    assert answer.status == 200, answer
    assert s3.head_object(Bucket=bucket, Key="s")["ContentEncoding"] == "gzip"


@pytest.mark.parametrize("size", [0, 5, 200000])
def test_signed_chunks_with_trailer(s3, bucket, get, size):
    body = kit.payload(size)

    def frame(signer):
        chunks = b"".join(signer.chunk(p) for p in [*pieces(body), b""])
        return chunks.removesuffix(b"\r\n") + signer.trailer(f"x-amz-checksum-crc32:{crc32(body)}")

    answer = put_stream(bucket, body, frame, STREAM + "-TRAILER", "x-amz-checksum-crc32")
    assert answer.status == 200, answer
    assert get("s") == body
    assert s3.head_object(Bucket=bucket, Key="s", ChecksumMode="ENABLED")["ChecksumCRC32"] == crc32(body)


def unsigned_frame(body, line):
    chunks = b"".join(f"{len(p):x}\r\n".encode() + p + b"\r\n" for p in pieces(body))
    return lambda signer: chunks + b"0\r\n" + line.encode() + b"\r\n\r\n"


@pytest.mark.parametrize("size", [0, 5, 200000])
def test_unsigned_trailer(s3, bucket, get, size):
    body = kit.payload(size)
    frame = unsigned_frame(body, f"x-amz-checksum-crc32:{crc32(body)}")
    answer = put_stream(bucket, body, frame, UNSIGNED_TRAILER, "x-amz-checksum-crc32")
    assert answer.status == 200, answer
    assert get("s") == body
    assert s3.head_object(Bucket=bucket, Key="s", ChecksumMode="ENABLED")["ChecksumCRC32"] == crc32(body)


def test_wrong_trailer(s3, bucket):
    frame = unsigned_frame(b"body", f"x-amz-checksum-crc32:{crc32(b'other')}")
    answer = put_stream(bucket, b"body", frame, UNSIGNED_TRAILER, "x-amz-checksum-crc32")
    assert (answer.status, answer.code) == (400, "BadDigest"), answer
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_bad_framing_stores_nothing(s3, bucket):
    good = unsigned_frame(b"body", f"x-amz-checksum-crc32:{crc32(b'body')}")(None)
    bad = {
        "short": good[:6],
        "no size": b"zz\r\nbody\r\n0\r\n\r\n",
        "huge size": b"ffffffffffffffffff\r\nbody\r\n0\r\n\r\n",
        "no end": b"4\r\nbody\r\n",
        "no line end": b"4\r\nbody0\r\n\r\n",
    }
    for name, data in bad.items():
        answer = put_stream(bucket, b"body", lambda s, d=data: d, UNSIGNED_TRAILER, "x-amz-checksum-crc32")
        assert 400 <= answer.status < 500 and answer.code, (name, answer)
    answer = put_stream(bucket, b"body", lambda s: good, UNSIGNED_TRAILER, "x-amz-checksum-crc32", length=5)
    assert 400 <= answer.status < 500, answer
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_forged_chunk(s3, bucket):
    def frame(signer):
        return signer.chunk(b"signed bytes").replace(b"signed bytes", b"forged bytes") + signer.chunk(b"")

    answer = put_stream(bucket, b"signed bytes", frame, STREAM)
    assert (answer.status, answer.code) == (403, "SignatureDoesNotMatch"), answer
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_missing_length(bucket):
    """HTTP chunking without a decoded length: S3 wants to know the size first."""
    answer = raw.send(
        "PUT", f"/{bucket}/k", b"0\r\n\r\n", {"transfer-encoding": "chunked"}, payload_hash="UNSIGNED-PAYLOAD"
    )
    assert (answer.status, answer.code) == (411, "MissingContentLength"), answer


@pytest.mark.parametrize("value", ["nonsense", "AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature=c"])
def test_malformed_authorization(bucket, value):
    answer = raw.send("GET", f"/{bucket}", headers={"authorization": value}, signer=False)
    assert answer.status in (400, 403) and answer.code, answer

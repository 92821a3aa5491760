"""What S3 says no to, the RDMA token rule, and the two ways to address a bucket."""

import pytest

import kit
import raw
from errs import fails

NOT_THERE = [
    ("PUT", "website"),
    ("PUT", "replication"),
    ("PUT", "inventory&id=1"),
    ("PUT", "analytics&id=1"),
    ("PUT", "metrics&id=1"),
    ("PUT", "intelligent-tiering&id=1"),
]


@pytest.mark.parametrize(("method", "query"), NOT_THERE)
def test_bucket_subresource_not_implemented(s3, bucket, method, query):
    answer = raw.send(method, f"/{bucket}?{query}", b"<x/>" if method == "PUT" else b"")
    assert (answer.status, answer.code) == (501, "NotImplemented"), answer
    s3.head_bucket(Bucket=bucket)


@pytest.mark.parametrize(("method", "query"), [("GET", "torrent"), ("POST", "select&select-type=2"), ("POST", "restore"), ("PUT", "annotation")])
def test_object_subresource_not_implemented(put, get, bucket, method, query):
    """Above all a PUT with an unknown subresource must not overwrite the object."""
    put("k", b"kept")
    answer = raw.send(method, f"/{bucket}/k?{query}", b"<x/>")
    assert (answer.status, answer.code) == (501, "NotImplemented"), answer
    assert get("k") == b"kept"


@pytest.mark.parametrize(
    "headers",
    [
        {"x-amz-server-side-encryption-customer-algorithm": "AES256"},
        {"x-amz-object-lock-mode": "COMPLIANCE", "x-amz-object-lock-retain-until-date": "2031-01-01T00:00:00Z"},
        {"x-amz-object-lock-legal-hold": "ON"},
    ],
    ids=lambda h: next(iter(h)),
)
def test_promises_that_cannot_be_kept(s3, bucket, headers):
    """A put that asks for more than the server does is refused, not stored without it."""
    answer = raw.send("PUT", f"/{bucket}/k", b"body", headers)
    assert (answer.status, answer.code) in ((501, "NotImplemented"), (400, "InvalidRequest"), (400, "InvalidArgument")), answer
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


RDMA = {"x-amz-rdma-token": "0" * 88}


@pytest.mark.parametrize("payload_hash", ["UNSIGNED-PAYLOAD", raw.EMPTY_SHA])
def test_rdma_put_is_declined(s3, bucket, payload_hash):
    """The client would take a 200 with an ETag for stored data although no byte was sent."""
    answer = raw.send("PUT", f"/{bucket}/k", headers=RDMA, payload_hash=payload_hash)
    assert answer.status == 501, answer
    assert answer.headers["x-amz-rdma-reply"] == "501"
    assert "etag" not in answer.headers
    with fails(404, "NoSuchKey"):
        s3.get_object(Bucket=bucket, Key="k")


def test_rdma_part_is_declined(s3, bucket):
    upload = s3.create_multipart_upload(Bucket=bucket, Key="m")["UploadId"]
    answer = raw.send("PUT", f"/{bucket}/m?partNumber=1&uploadId={raw.quote(upload)}", headers=RDMA, payload_hash="UNSIGNED-PAYLOAD")
    assert (answer.status, answer.headers["x-amz-rdma-reply"]) == (501, "501"), answer
    assert "etag" not in answer.headers
    assert "Parts" not in s3.list_parts(Bucket=bucket, Key="m", UploadId=upload)


def test_rdma_get_falls_back(bucket, put):
    put("k", b"over http")
    answer = raw.send("GET", f"/{bucket}/k", headers=RDMA)
    assert answer.headers["x-amz-rdma-reply"] == "501"
    assert answer.status == 501 or (answer.status == 200 and answer.body == b"over http"), answer


@pytest.mark.parametrize(
    "body",
    [b"", b"garbage", b"<Delete>", b"<Delete></Delete>", b"<Wrong><Object><Key>k</Key></Object></Wrong>", b"<Delete><Object><Key></Key></Object>", b"\xff\xfe"],
)
def test_malformed_delete(bucket, put, get, body):
    put("k", b"kept")
    headers = {"content-md5": raw.base64_md5(body)}
    answer = raw.send("POST", f"/{bucket}?delete", body, headers)
    assert answer.status == 400 and answer.code in ("MalformedXML", "MissingRequestBodyError"), answer
    assert get("k") == b"kept"


@pytest.mark.parametrize("query", ["tagging", "versioning"])
def test_malformed_configuration(bucket, query):
    for body in (b"<", b"<Nothing/>", b"plain", b"<!DOCTYPE a [<!ENTITY b 'c'>]><Tagging>&b;</Tagging>"):
        answer = raw.send("PUT", f"/{bucket}?{query}", body, {"content-md5": raw.base64_md5(body)})
        assert answer.status == 400 and answer.code, (body, answer)


def test_malformed_complete(s3, bucket):
    upload = s3.create_multipart_upload(Bucket=bucket, Key="m")["UploadId"]
    for body in (b"", b"<", b"<CompleteMultipartUpload><Part><PartNumber>x</PartNumber></Part></CompleteMultipartUpload>"):
        answer = raw.send("POST", f"/{bucket}/m?uploadId={raw.quote(upload)}", body)
        assert answer.status == 400 and answer.code in ("MalformedXML", "InvalidRequest"), (body, answer)


def test_method_not_allowed(bucket):
    answer = raw.send("POST", f"/{bucket}/k")
    assert answer.status in (405, 501) and answer.code in ("MethodNotAllowed", "NotImplemented"), answer


def test_error_document(bucket):
    answer = raw.send("GET", f"/{bucket}/no%20such%26key")
    assert answer.headers["content-type"].startswith("application/xml")
    assert answer.headers["x-amz-request-id"]
    assert answer.body.startswith(b"<?xml")
    assert f"<RequestId>{answer.headers['x-amz-request-id']}</RequestId>".encode() in answer.body


def test_head_error_has_no_body(bucket):
    answer = raw.send("HEAD", f"/{bucket}/none")
    assert (answer.status, answer.body) == (404, b"")


def test_expect_continue(bucket, get):
    answer = raw.send("PUT", f"/{bucket}/k", b"continued", {"expect": "100-continue"})
    assert answer.status == 200, answer
    assert get("k") == b"continued"


@pytest.mark.skipif(not kit.DOMAIN, reason="the server has no domain: WEFT_DOMAIN is not set")
class TestVirtualHost:
    """bucket.domain in the Host header, next to path style on the same server."""

    def test_objects(self, make_client, bucket, get):
        s3 = make_client(endpoint=f"http://{kit.DOMAIN}:{kit.PORT}", style="virtual")
        s3.put_object(Bucket=bucket, Key="dir/k +\u00e9", Body=b"virtual")
        assert s3.get_object(Bucket=bucket, Key="dir/k +\u00e9")["Body"].read() == b"virtual"
        assert get("dir/k +\u00e9") == b"virtual"
        assert [o["Key"] for o in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["dir/k +\u00e9"]
        assert s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "dir/k +\u00e9"}]})["Deleted"]

    def test_buckets(self, make_client):
        s3 = make_client(endpoint=f"http://{kit.DOMAIN}:{kit.PORT}", style="virtual")
        name = kit.bucket_name("vhost")
        s3.create_bucket(Bucket=name)
        s3.head_bucket(Bucket=name)
        assert name in [b["Name"] for b in s3.list_buckets()["Buckets"]]
        s3.delete_bucket(Bucket=name)

    def test_dotted_bucket_and_port(self, make_client):
        s3 = make_client()
        name = kit.bucket_name("a.b")
        s3.create_bucket(Bucket=name)
        answer = raw.send("PUT", "/k", b"dotted", host=f"{name}.{kit.DOMAIN}:{kit.PORT}")
        assert answer.status == 200, answer
        assert s3.get_object(Bucket=name, Key="k")["Body"].read() == b"dotted"
        kit.empty_bucket(s3, name)

    def test_presigned(self, make_client, bucket, put):
        put("k", b"virtual and presigned")
        s3 = make_client(endpoint=f"http://{kit.DOMAIN}:{kit.PORT}", style="virtual")
        url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"})
        host, path = url.split("://", 1)[1].split("/", 1)
        assert host.startswith(bucket + ".")
        assert raw.send("GET", "/" + path, signer=False, host=host).body == b"virtual and presigned"

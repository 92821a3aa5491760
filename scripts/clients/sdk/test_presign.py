"""Presigned URLs, used by a plain HTTP client."""

import datetime
import hashlib

import boto3
import pytest
import urllib3
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

import kit

HTTP = urllib3.PoolManager(retries=False)


def url_for(s3, operation, seconds=600, **params):
    return s3.generate_presigned_url(operation, Params=params, ExpiresIn=seconds)


def test_get(s3, bucket, put):
    body = kit.payload(100000)
    put("dir/odd +% \u00e9", body)
    url = url_for(s3, "get_object", Bucket=bucket, Key="dir/odd +% \u00e9")
    answer = HTTP.request("GET", url)
    assert (answer.status, answer.data) == (200, body)
    answer = HTTP.request("GET", url, headers={"Range": "bytes=10-19"})
    assert (answer.status, answer.data) == (206, body[10:20])


def test_get_with_overrides(s3, bucket, put):
    put("k", b"x")
    url = url_for(s3, "get_object", Bucket=bucket, Key="k", ResponseContentDisposition='attachment; filename="a b"')
    assert HTTP.request("GET", url).headers["content-disposition"] == 'attachment; filename="a b"'


def test_head_and_delete(s3, bucket, put):
    put("k", b"12345")
    assert HTTP.request("HEAD", url_for(s3, "head_object", Bucket=bucket, Key="k")).headers["content-length"] == "5"
    assert HTTP.request("DELETE", url_for(s3, "delete_object", Bucket=bucket, Key="k")).status == 204
    assert HTTP.request("HEAD", url_for(s3, "head_object", Bucket=bucket, Key="k")).status == 404


def test_put(s3, bucket, get):
    body = kit.payload(70000)
    url = url_for(s3, "put_object", Bucket=bucket, Key="up")
    answer = HTTP.request("PUT", url, body=body)
    assert answer.status == 200, answer.data
    assert answer.headers["etag"] == f'"{hashlib.md5(body).hexdigest()}"'
    assert get("up") == body


def test_put_with_signed_headers(s3, bucket):
    url = url_for(s3, "put_object", Bucket=bucket, Key="up", ContentType="text/x", Metadata={"a": "b"})
    refused = HTTP.request("PUT", url, body=b"x", headers={"Content-Type": "text/other", "x-amz-meta-a": "b"})
    assert refused.status == 403 and b"SignatureDoesNotMatch" in refused.data
    answer = HTTP.request("PUT", url, body=b"x", headers={"Content-Type": "text/x", "x-amz-meta-a": "b"})
    assert answer.status == 200, answer.data
    assert s3.head_object(Bucket=bucket, Key="up")["Metadata"] == {"a": "b"}


def test_upload_part(s3, bucket, get):
    upload = s3.create_multipart_upload(Bucket=bucket, Key="m")["UploadId"]
    url = url_for(s3, "upload_part", Bucket=bucket, Key="m", UploadId=upload, PartNumber=1)
    etag = HTTP.request("PUT", url, body=b"part").headers["etag"]
    parts = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
    s3.complete_multipart_upload(Bucket=bucket, Key="m", UploadId=upload, MultipartUpload=parts)
    assert get("m") == b"part"


def test_list(s3, bucket, put):
    put("in the list", b"")
    answer = HTTP.request("GET", url_for(s3, "list_objects_v2", Bucket=bucket, Prefix="in"))
    assert answer.status == 200 and b"<Key>in" in answer.data


def test_tampered(s3, bucket, put):
    put("k", b"secret")
    put("other", b"other")
    url = url_for(s3, "get_object", Bucket=bucket, Key="k")
    tampered = [
        url.replace("/k?", "/other?"),
        url.replace("X-Amz-Expires=600", "X-Amz-Expires=6000"),
        url + "&versionId=null",
        url[:-1] + ("0" if url[-1] != "0" else "1"),
    ]
    for bad in tampered:
        answer = HTTP.request("GET", bad)
        assert answer.status == 403 and b"SignatureDoesNotMatch" in answer.data, bad
    answer = HTTP.request("PUT", url, body=b"not a GET")
    assert answer.status == 403


def test_signature_version_2_is_refused(bucket, put):
    """boto3 in us-east-1 presigns with version 2 unless told otherwise; S3 names the version it wants."""
    put("k", b"x")
    old = boto3.client("s3", endpoint_url=kit.ENDPOINT, region_name=kit.REGION)
    answer = HTTP.request("GET", url_for(old, "get_object", Bucket=bucket, Key="k"))
    assert answer.status == 400, answer.data
    assert b"<Code>InvalidRequest</Code>" in answer.data and b"AWS4-HMAC-SHA256" in answer.data


def sign_at(bucket, key, at, seconds):
    request = AWSRequest("GET", f"{kit.ENDPOINT}/{bucket}/{key}")
    signer = S3SigV4QueryAuth(Credentials(kit.ACCESS, kit.SECRET), "s3", kit.REGION, expires=seconds)
    request.context["timestamp"] = at.strftime("%Y%m%dT%H%M%SZ")
    signer._modify_request_before_signing(request)
    text = signer.string_to_sign(request, signer.canonical_request(request))
    signer._inject_signature_to_request(request, signer.signature(text, request))
    return request.url


@pytest.mark.parametrize(
    ("age", "seconds", "status"),
    [(0, 60, 200), (120, 60, 403), (120, 600, 200), (6 * 86400, 7 * 86400, 200), (-7200, 60, 403), (0, 8 * 86400, 400), (0, -5, 400)],
)
def test_expiry(bucket, put, age, seconds, status):
    put("k", b"x")
    at = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=age)
    answer = HTTP.request("GET", sign_at(bucket, "k", at, seconds))
    assert answer.status == status, answer.data
    code = {200: b"x", 403: b"<Code>AccessDenied</Code>", 400: b"<Code>AuthorizationQueryParametersError</Code>"}[status]
    assert code in answer.data

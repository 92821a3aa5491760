"""CORS: what a bucket lets scripts in browsers do."""

import urllib.request

import pytest

import kit
from errs import fails


def ask(method, path, body=None, **headers):
    """Sends a request as a browser does, and returns status and headers."""
    named = {k.replace("_", "-"): v for k, v in headers.items()}
    request = urllib.request.Request(kit.ENDPOINT + path, method=method, data=body, headers=named)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.headers
    except urllib.error.HTTPError as e:
        with e:
            return e.code, e.headers


@pytest.fixture
def shared(s3, bucket):
    rules = [
        {"AllowedMethods": ["PUT", "GET"], "AllowedOrigins": ["https://*.example"], "AllowedHeaders": ["*"], "ExposeHeaders": ["ETag"], "MaxAgeSeconds": 60},
        {"AllowedMethods": ["HEAD"], "AllowedOrigins": ["*"]},
    ]
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": rules})
    assert s3.get_bucket_cors(Bucket=bucket)["CORSRules"] == rules
    return bucket


def test_configuration(s3, shared):
    with fails(400, "InvalidRequest"):
        rule = {"AllowedMethods": ["OPTIONS"], "AllowedOrigins": ["*"]}
        s3.put_bucket_cors(Bucket=shared, CORSConfiguration={"CORSRules": [rule]})
    s3.delete_bucket_cors(Bucket=shared)
    with fails(404, "NoSuchCORSConfiguration"):
        s3.get_bucket_cors(Bucket=shared)
    assert ask("OPTIONS", f"/{shared}/k", Origin="https://a.example", Access_Control_Request_Method="GET")[0] == 403


def test_upload_from_a_browser(s3, shared):
    """A preflight, and then the presigned PUT that it was for."""
    url = s3.generate_presigned_url("put_object", Params={"Bucket": shared, "Key": "k"}, ExpiresIn=60)
    path = url[len(kit.ENDPOINT) :]
    status, headers = ask("OPTIONS", path, Origin="https://a.example", Access_Control_Request_Method="PUT", Access_Control_Request_Headers="x-amz-meta-a")
    assert status == 200
    assert headers["Access-Control-Allow-Origin"] == "https://a.example"
    assert headers["Access-Control-Allow-Headers"] == "x-amz-meta-a"
    assert headers["Access-Control-Max-Age"] == "60"
    status, headers = ask("PUT", path, b"hello", Origin="https://a.example")
    assert (status, headers["Access-Control-Expose-Headers"]) == (200, "ETag")
    assert s3.get_object(Bucket=shared, Key="k")["Body"].read() == b"hello"


def test_refused(shared):
    status, headers = ask("OPTIONS", f"/{shared}/k", Origin="https://other", Access_Control_Request_Method="GET")
    assert (status, headers["Access-Control-Allow-Origin"]) == (403, None)
    assert ask("OPTIONS", f"/{shared}/k", Access_Control_Request_Method="GET")[0] == 400
    status, headers = ask("HEAD", f"/{shared}/k", Origin="https://other")
    assert (status, headers["Access-Control-Allow-Origin"]) == (403, "*")

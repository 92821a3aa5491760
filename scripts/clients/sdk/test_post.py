"""Uploads by HTML forms, as boto3 signs them."""

import http.client
import uuid
import xml.etree.ElementTree as ET

import pytest

import kit


def submit(url, fields, data, filename="f.txt", more=()):
    """Sends a form as a browser does and returns status, headers and body."""
    boundary = uuid.uuid4().hex
    parts = [(name, None, value.encode()) for name, value in fields.items()]
    parts += [("file", filename, data)] + [(name, None, value.encode()) for name, value in more]
    body = b""
    for name, file, value in parts:
        disposition = f'form-data; name="{name}"' + (f'; filename="{file}"' if file else "")
        body += f"--{boundary}\r\nContent-Disposition: {disposition}\r\n\r\n".encode() + value + b"\r\n"
    body += f"--{boundary}--\r\n".encode()
    connection = http.client.HTTPConnection(kit.HOST, int(kit.PORT), timeout=60)
    path = "/" + url.split("://", 1)[1].split("/", 1)[1]
    connection.request("POST", path, body, {"Content-Type": f"multipart/form-data; boundary={boundary}"})
    answer = connection.getresponse()
    got = answer.status, answer.headers, answer.read()
    connection.close()
    return got


@pytest.mark.parametrize("size", [0, 1000, 300 << 10, 9 << 20])
def test_upload(s3, bucket, size):
    data = kit.payload(size)
    fields = {"Content-Type": "text/x", "x-amz-meta-a": "b", "success_action_status": "201"}
    conditions = [["starts-with", "$Content-Type", "text/"], {"x-amz-meta-a": "b"}, {"success_action_status": "201"}, ["content-length-range", 0, 10 << 20]]
    post = s3.generate_presigned_post(bucket, "dir/${filename}", Fields=fields, Conditions=conditions)
    status, headers, body = submit(post["url"], post["fields"], data)
    assert status == 201, body
    assert ET.fromstring(body).find("Key").text == "dir/f.txt"
    assert headers["ETag"] == f'"{kit.md5(data)}"'
    got = s3.get_object(Bucket=bucket, Key="dir/f.txt")
    assert (got["Body"].read(), got["ContentType"], got["Metadata"]) == (data, "text/x", {"a": "b"})


def test_redirect(s3, bucket):
    fields = {"success_action_redirect": "http://localhost/done"}
    post = s3.generate_presigned_post(bucket, "k", Fields=fields, Conditions=[fields])
    status, headers, _ = submit(post["url"], post["fields"], b"x", more=[("submit", "Upload")])
    assert status == 303
    assert headers["Location"].startswith(f"http://localhost/done?bucket={bucket}&key=k&etag=%22")


def test_refused(s3, bucket):
    post = s3.generate_presigned_post(bucket, "k", Conditions=[["content-length-range", 5, 6]])
    for data, code in ((b"four", b"EntityTooSmall"), (b"seven  ", b"EntityTooLarge")):
        status, _, body = submit(post["url"], post["fields"], data)
        assert status == 400 and code in body, body
    for change in ({"key": "other"}, {"acl": "private"}, {"x-amz-signature": "0" * 64}):
        status, _, body = submit(post["url"], post["fields"] | change, b"fives")
        assert status == 403, body
    expired = s3.generate_presigned_post(bucket, "k", ExpiresIn=-5)
    assert submit(expired["url"], expired["fields"], b"x")[0] == 403
    assert submit(post["url"], {"key": "k"}, b"x")[0] == 403
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)

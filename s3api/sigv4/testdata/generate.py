"""Writes botocore.json: requests as botocore signs them, never sent.

Run it with any current boto3: python3 generate.py > botocore.json
Each entry is what would have gone over the wire: method, URL, headers, body (base64), and the time of signing.
"""
import base64
import io
import json

import boto3
import botocore
from botocore.awsrequest import AWSResponse
from botocore.config import Config

KEY, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
NAMES = ["plain", "a b", "a+b", "a%2Fb", "a//b", "./../x", "~-_.", "!*'();:@&=+$,?#[]", "\u00e9\u4e2d\U0001f600", "tilde~/end/", "%", "\\ \"<>^`{|}"]
captured = []


class Raw:
    def stream(self, *_, **__):
        yield b""

    def read(self, *_, **__):
        return b""


def capture(request, **_):
    headers = [[k, v.decode() if isinstance(v, bytes) else v] for k, v in request.headers.items() if k != "User-Agent"]
    body = request.body
    if body is None:
        body = b""
    elif hasattr(body, "read"):
        body = body.read()
    elif isinstance(body, str):
        body = body.encode()
    captured.append({"method": request.method, "url": request.url, "headers": headers, "body": base64.b64encode(body).decode()})
    return AWSResponse(request.url, 200, {}, Raw())


def client(scheme, style="path", **config):
    c = boto3.client("s3", endpoint_url=scheme + "://s3.example.test:9000", region_name="us-east-1", aws_access_key_id=KEY,
                     aws_secret_access_key=SECRET,
                     config=Config(signature_version="s3v4", s3={"addressing_style": style}, retries={"max_attempts": 0}, **config))
    c.meta.events.register("before-send.s3", capture)
    return c


def attempt(f, **kw):
    try:
        f(**kw)
    except Exception as e:  # the empty answer does not parse for every operation; the request was captured all the same
        if not captured:
            raise e


http, https, virtual = client("http"), client("https"), client("https", "virtual")
for name in NAMES:
    attempt(http.get_object, Bucket="bucket", Key=name, Range="bytes=0-9")
    attempt(http.list_objects_v2, Bucket="bucket", Prefix=name, Delimiter="/", StartAfter=name)
    attempt(http.put_object, Bucket="bucket", Key=name, Body=b"body of " + name.encode(), Metadata={"k": "two  spaces "})
    url = http.generate_presigned_url("get_object", Params={"Bucket": "bucket", "Key": name, "ResponseContentType": name}, ExpiresIn=900)
    captured.append({"method": "GET", "url": url, "headers": [], "body": ""})
for alg in ["CRC32", "SHA1", "SHA256"]:
    attempt(https.put_object, Bucket="bucket", Key=alg, Body=io.BytesIO(bytes(range(256)) * 20), ChecksumAlgorithm=alg)
    attempt(virtual.put_object, Bucket="bucket", Key=alg, Body=b"", ChecksumAlgorithm=alg)
attempt(https.put_object, Bucket="bucket", Key="md5", Body=b"x", ChecksumMD5="nd32fUQTwWYZ5W8eGDJ2ag==")
attempt(virtual.delete_objects, Bucket="bucket", Delete={"Objects": [{"Key": "a"}]})
attempt(virtual.copy_object, Bucket="bucket", Key="to", CopySource={"Bucket": "bucket", "Key": "from \u00e9+"})
attempt(http.create_bucket, Bucket="bucket")
url = https.generate_presigned_url("put_object", Params={"Bucket": "bucket", "Key": "k", "Metadata": {"a": "b"}, "ContentType": "text/plain"})
captured.append({"method": "PUT", "url": url, "headers": [["x-amz-meta-a", "b"], ["content-type", "text/plain"]], "body": "eA=="})
json.dump({"botocore": botocore.__version__, "requests": captured}, __import__("sys").stdout, indent=0)

"""What every Python client suite shares: where the server is, bytes that can be made again, bucket names."""

import hashlib
import os
import random
import socket
import uuid

ENDPOINT = os.environ["WEFT_ENDPOINT"]
HOST, PORT = ENDPOINT.split("://", 1)[1].rsplit(":", 1)
ACCESS = os.environ["AWS_ACCESS_KEY_ID"]
SECRET = os.environ["AWS_SECRET_ACCESS_KEY"]
DOMAIN = os.environ.get("WEFT_DOMAIN", "")  # empty: the server has no virtual-hosted style
REGION = "us-east-1"
MIB = 1 << 20


def payload(size, seed=0):
    """size random-looking bytes, the same ones for the same size and seed."""
    return random.Random(f"{size}/{seed}").randbytes(size)


def write_tree(root, big):
    """Files below root with the names and sizes that clients get wrong, one of them of big bytes; their bytes by name."""
    files = {
        "a.txt": b"a",
        "empty": b"",
        "dir/b c+d&e.bin": payload(70000),
        "dir/deep/\u6f22\u5b57.bin": payload(3 * MIB),
        "big.bin": payload(big),
    }
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return files


def md5(data):
    return hashlib.md5(data).hexdigest()


def bucket_name(prefix="t"):
    return f"{prefix}-{uuid.uuid4().hex[:20]}"


def empty_bucket(s3, bucket):
    """Deletes every version, delete marker, upload and at last the bucket, all of it through the client s3."""
    for page in s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket):
        for upload in page.get("Uploads", []):
            s3.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        found = page.get("Versions", []) + page.get("DeleteMarkers", [])
        if found:
            names = [{"Key": v["Key"], "VersionId": v["VersionId"]} for v in found]
            answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": names, "Quiet": True})
            assert not answer.get("Errors"), answer["Errors"]
    s3.delete_bucket(Bucket=bucket)


def fresh_bucket(s3, prefix="t"):
    """For a fixture to yield from: the name of a new bucket, which is emptied and deleted after the test."""
    name = bucket_name(prefix)
    s3.create_bucket(Bucket=name)
    yield name
    empty_bucket(s3, name)


def resolve_localhost_names():
    """Makes every name under localhost (RFC 6761) resolve to the loopback address, as most resolvers do."""
    real = socket.getaddrinfo

    def getaddrinfo(host, *rest, **named):
        if isinstance(host, str) and host.rstrip(".").endswith(".localhost"):
            host = "127.0.0.1"
        return real(host, *rest, **named)

    socket.getaddrinfo = getaddrinfo

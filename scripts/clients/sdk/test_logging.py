"""Server access logs: where they go, and what they say."""

import json
import re
import time
import urllib.request

import pytest

import kit
from errs import fails

FIELDS = re.compile(r'\[[^\]]*\]|"[^"]*"|\S+')


@pytest.fixture
def logs(s3, bucket):
    """A bucket that takes the logs of the test's bucket."""
    name = kit.bucket_name("logs")
    s3.create_bucket(Bucket=name)
    allow = {
        "Effect": "Allow",
        "Principal": {"Service": "logging.s3.amazonaws.com"},
        "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::{name}/*",
        "Condition": {"ArnLike": {"aws:SourceArn": f"arn:aws:s3:::{bucket}"}},
    }
    s3.put_bucket_policy(Bucket=name, Policy=json.dumps({"Version": "2012-10-17", "Statement": [allow]}))
    yield name
    s3.put_bucket_logging(Bucket=bucket, BucketLoggingStatus={})
    time.sleep(2)  # deliveries that are under way
    kit.empty_bucket(s3, name)


def delivered(s3, logs, prefix, operation):
    """Waits for a line about an operation, and returns its fields and the key of its object."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for o in s3.list_objects_v2(Bucket=logs, Prefix=prefix).get("Contents", []):
            for line in s3.get_object(Bucket=logs, Key=o["Key"])["Body"].read().decode().splitlines():
                fields = FIELDS.findall(line)
                assert len(fields) == 26, line
                if fields[6] == operation:
                    return fields, o["Key"]
        time.sleep(0.5)
    pytest.fail(f"no line about {operation}")


def test_simple_prefix(s3, bucket, logs, put):
    status = {"LoggingEnabled": {"TargetBucket": logs, "TargetPrefix": "p/"}}
    s3.put_bucket_logging(Bucket=bucket, BucketLoggingStatus=status)
    assert s3.get_bucket_logging(Bucket=bucket)["LoggingEnabled"] == status["LoggingEnabled"]
    answer = put("a key", b"hello")
    fields, key = delivered(s3, logs, "p/", "REST.PUT.OBJECT")
    assert re.fullmatch(r"p/\d{4}(-\d\d){5}-[0-9a-f]{16}", key)
    assert fields[1] == bucket and fields[7] == "a%20key" and fields[9:13] == ["200", "-", "0", "5"]
    assert fields[5] == answer["ResponseMetadata"]["RequestId"] and fields[19] == "SigV4" and fields[21] == "AuthHeader"


def test_partitioned_prefix(s3, bucket, logs, put):
    form = {"PartitionedPrefix": {"PartitionDateSource": "EventTime"}}
    status = {"LoggingEnabled": {"TargetBucket": logs, "TargetPrefix": "", "TargetObjectKeyFormat": form}}
    s3.put_bucket_logging(Bucket=bucket, BucketLoggingStatus=status)
    assert s3.get_bucket_logging(Bucket=bucket)["LoggingEnabled"]["TargetObjectKeyFormat"] == form
    put("k")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"})
    with urllib.request.urlopen(url, timeout=60) as got:
        got.read()
    fields, key = delivered(s3, logs, "", "REST.GET.OBJECT")
    assert re.fullmatch(rf"\d{{12}}/us-east-1/{bucket}/\d{{4}}/\d\d/\d\d/\d{{4}}-\d\d-\d\d-00-00-00-[0-9a-f]{{16}}", key)
    assert fields[21] == "QueryString" and "X-Amz-Signature=-" in fields[8] and url.rsplit("Signature=", 1)[1][:64] not in " ".join(fields)


def test_bad_targets(s3, bucket):
    with fails(400, "InvalidTargetBucketForLogging"):
        s3.put_bucket_logging(Bucket=bucket, BucketLoggingStatus={"LoggingEnabled": {"TargetBucket": kit.bucket_name(), "TargetPrefix": ""}})
    assert "LoggingEnabled" not in s3.get_bucket_logging(Bucket=bucket)

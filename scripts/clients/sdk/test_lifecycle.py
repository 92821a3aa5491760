"""Lifecycle rules. That they are applied is shown by the Go tests, which have a clock."""

import datetime

import pytest

from errs import fails

RULES = [
    {"ID": "old", "Status": "Disabled", "Prefix": "old/", "Expiration": {"Days": 5}},
    {
        "ID": "and",
        "Status": "Enabled",
        "Filter": {"And": {"Prefix": "p/", "Tags": [{"Key": "a", "Value": "b"}], "ObjectSizeGreaterThan": 1, "ObjectSizeLessThan": 9}},
        "Expiration": {"Date": datetime.datetime(2040, 1, 1, tzinfo=datetime.timezone.utc)},
    },
    {
        "ID": "versions",
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "Expiration": {"ExpiredObjectDeleteMarker": True},
        "NoncurrentVersionExpiration": {"NoncurrentDays": 7, "NewerNoncurrentVersions": 2},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 3},
    },
]


def put_rules(s3, bucket, rules):
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": rules})


def test_configuration(s3, bucket):
    with fails(404, "NoSuchLifecycleConfiguration"):
        s3.get_bucket_lifecycle_configuration(Bucket=bucket)
    put_rules(s3, bucket, RULES)
    assert s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"] == RULES
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")
    assert upload["AbortRuleId"] == "versions"
    s3.delete_bucket_lifecycle(Bucket=bucket)
    with fails(404, "NoSuchLifecycleConfiguration"):
        s3.get_bucket_lifecycle_configuration(Bucket=bucket)


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("MalformedXML", {"Status": "on"}),
        ("InvalidArgument", {"Expiration": {"Days": 0}}),
        ("InvalidArgument", {"ID": "x" * 256}),
        ("NotImplemented", {"Transitions": [{"Days": 1, "StorageClass": "GLACIER"}]}),
    ],
)
def test_refused(s3, bucket, code, change):
    rule = {"ID": "r", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 1}} | change
    with fails(501 if code == "NotImplemented" else 400, code):
        put_rules(s3, bucket, [rule])


def test_expiration_header(s3, bucket, put):
    put_rules(s3, bucket, [{"ID": "one day", "Status": "Enabled", "Filter": {"Prefix": "a/"}, "Expiration": {"Days": 1}}])
    assert 'rule-id="one+day"' in put("a/k", b"x")["Expiration"]
    assert "Expiration" not in put("b/k", b"x")
    assert 'rule-id="one+day"' in s3.head_object(Bucket=bucket, Key="a/k")["Expiration"]

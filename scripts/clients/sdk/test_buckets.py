"""Buckets: create, head, list, location, delete and their errors."""

import json

import pytest

import kit
from errs import fails


def test_create_head_list_delete(s3):
    names = sorted(kit.bucket_name("life") for _ in range(3))
    for name in names:
        answer = s3.create_bucket(Bucket=name)
        assert answer["Location"] == f"/{name}"
    listed = [b["Name"] for b in s3.list_buckets()["Buckets"]]
    assert [n for n in listed if n in names] == names
    assert listed == sorted(listed)
    for name in names:
        s3.head_bucket(Bucket=name)
        assert s3.get_bucket_location(Bucket=name)["LocationConstraint"] is None
        s3.delete_bucket(Bucket=name)
        with fails(404):
            s3.head_bucket(Bucket=name)


def test_list_has_owner_and_dates(s3, bucket):
    answer = s3.list_buckets()
    assert answer["Owner"]["ID"]
    assert all(b["CreationDate"] for b in answer["Buckets"])


def test_list_buckets_pages(s3):
    prefix = kit.bucket_name("page")[:20]
    names = [f"{prefix}-{i}" for i in range(5)]
    for name in names:
        s3.create_bucket(Bucket=name)
    try:
        pages = s3.get_paginator("list_buckets").paginate(Prefix=prefix, PaginationConfig={"PageSize": 2})
        assert [b["Name"] for page in pages for b in page.get("Buckets", [])] == names
    finally:
        for name in names:
            s3.delete_bucket(Bucket=name)


def test_create_again(s3, bucket, put, get):
    put("kept", b"kept")
    assert s3.create_bucket(Bucket=bucket)["Location"] == f"/{bucket}"
    with fails(409, "BucketAlreadyOwnedByYou"):
        s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    assert get("kept") == b"kept"


@pytest.mark.parametrize("name", ["Upper", "under_score", "ab", "a..b", "-front", "back-", "192.168.5.4", "x" * 64])
def test_bad_names(s3, name):
    with fails(400, "InvalidBucketName"):
        s3.create_bucket(Bucket=name)


def test_delete_not_empty(s3, bucket, put):
    put("a")
    with fails(409, "BucketNotEmpty"):
        s3.delete_bucket(Bucket=bucket)


def test_missing_bucket(s3):
    name = kit.bucket_name("none")
    calls = [
        lambda: s3.delete_bucket(Bucket=name),
        lambda: s3.list_objects(Bucket=name),
        lambda: s3.list_objects_v2(Bucket=name),
        lambda: s3.list_object_versions(Bucket=name),
        lambda: s3.list_multipart_uploads(Bucket=name),
        lambda: s3.get_bucket_location(Bucket=name),
        lambda: s3.get_bucket_versioning(Bucket=name),
        lambda: s3.get_bucket_tagging(Bucket=name),
        lambda: s3.get_object(Bucket=name, Key="a"),
        lambda: s3.put_object(Bucket=name, Key="a", Body=b"a"),
        lambda: s3.delete_object(Bucket=name, Key="a"),
        lambda: s3.create_multipart_upload(Bucket=name, Key="a"),
        lambda: s3.delete_objects(Bucket=name, Delete={"Objects": [{"Key": "a"}]}),
    ]
    for call in calls:
        with fails(404, "NoSuchBucket"):
            call()


def test_bucket_tagging(s3, bucket):
    with fails(404, "NoSuchTagSet"):
        s3.get_bucket_tagging(Bucket=bucket)
    tags = [{"Key": "project", "Value": "climate"}, {"Key": "empty", "Value": ""}]
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tags})
    got = s3.get_bucket_tagging(Bucket=bucket)["TagSet"]
    assert sorted(got, key=lambda t: t["Key"]) == sorted(tags, key=lambda t: t["Key"])
    s3.delete_bucket_tagging(Bucket=bucket)
    with fails(404, "NoSuchTagSet"):
        s3.get_bucket_tagging(Bucket=bucket)


def test_settings_that_are_always_the_same(s3, bucket):
    """They can be read, and written with what they are; what S3 has besides is declined by its name."""
    assert s3.get_bucket_request_payment(Bucket=bucket)["Payer"] == "BucketOwner"
    s3.put_bucket_request_payment(Bucket=bucket, RequestPaymentConfiguration={"Payer": "BucketOwner"})
    with fails(501, "NotImplemented"):
        s3.put_bucket_request_payment(Bucket=bucket, RequestPaymentConfiguration={"Payer": "Requester"})
    assert "Status" not in s3.get_bucket_accelerate_configuration(Bucket=bucket)
    s3.put_bucket_accelerate_configuration(Bucket=bucket, AccelerateConfiguration={"Status": "Suspended"})
    with fails(501, "NotImplemented"):
        s3.put_bucket_accelerate_configuration(Bucket=bucket, AccelerateConfiguration={"Status": "Enabled"})
    with fails(404, "NoSuchWebsiteConfiguration"):
        s3.get_bucket_website(Bucket=bucket)
    s3.delete_bucket_website(Bucket=bucket)
    with fails(404, "ReplicationConfigurationNotFoundError"):
        s3.get_bucket_replication(Bucket=bucket)
    s3.delete_bucket_replication(Bucket=bucket)


def test_ownership_controls(s3, bucket):
    with fails(404, "OwnershipControlsNotFoundError"):
        s3.get_bucket_ownership_controls(Bucket=bucket)
    for ownership in ("BucketOwnerPreferred", "ObjectWriter", "BucketOwnerEnforced"):
        rules = {"Rules": [{"ObjectOwnership": ownership}]}
        s3.put_bucket_ownership_controls(Bucket=bucket, OwnershipControls=rules)
        assert s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"] == rules
    s3.delete_bucket_ownership_controls(Bucket=bucket)
    with fails(404, "OwnershipControlsNotFoundError"):
        s3.get_bucket_ownership_controls(Bucket=bucket)


def test_public_access_block(s3, bucket):
    with fails(404, "NoSuchPublicAccessBlockConfiguration"):
        s3.get_public_access_block(Bucket=bucket)
    block = {"BlockPublicAcls": True, "IgnorePublicAcls": False, "BlockPublicPolicy": True, "RestrictPublicBuckets": False}
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=block)
    assert s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"] == block
    statement = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    with fails(403, "AccessDenied"):
        s3.put_bucket_policy(Bucket=bucket, Policy=policy)
    s3.delete_public_access_block(Bucket=bucket)
    s3.put_bucket_policy(Bucket=bucket, Policy=policy)
    assert s3.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"]["IsPublic"] is True
    s3.delete_bucket_policy(Bucket=bucket)
    with fails(404, "NoSuchBucketPolicy"):
        s3.get_bucket_policy(Bucket=bucket)

"""Object lock: nothing removes a version that is locked."""

import datetime

import pytest

import kit
from errs import fails


def soon(seconds=3600):
    now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    return now + datetime.timedelta(seconds=seconds)


@pytest.fixture
def locked(s3):
    """A bucket in which versions can be locked, emptied by lifting holds and bypassing governance."""
    name = kit.bucket_name()
    s3.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    yield name
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=name):
        for v in page.get("Versions", []):
            s3.put_object_legal_hold(Bucket=name, Key=v["Key"], VersionId=v["VersionId"], LegalHold={"Status": "OFF"})
        for v in page.get("Versions", []) + page.get("DeleteMarkers", []):
            s3.delete_object(Bucket=name, Key=v["Key"], VersionId=v["VersionId"], BypassGovernanceRetention=True)
    s3.delete_bucket(Bucket=name)


def test_configuration(s3, locked, bucket):
    assert s3.get_bucket_versioning(Bucket=locked)["Status"] == "Enabled"
    rule = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 3}}
    config = {"ObjectLockEnabled": "Enabled", "Rule": rule}
    s3.put_object_lock_configuration(Bucket=locked, ObjectLockConfiguration=config)
    assert s3.get_object_lock_configuration(Bucket=locked)["ObjectLockConfiguration"] == config
    with fails(409, "InvalidBucketState"):
        s3.put_bucket_versioning(Bucket=locked, VersioningConfiguration={"Status": "Suspended"})
    with fails(404, "ObjectLockConfigurationNotFoundError"):
        s3.get_object_lock_configuration(Bucket=bucket)
    with fails(409, "InvalidBucketState"):
        s3.put_object_lock_configuration(Bucket=bucket, ObjectLockConfiguration=config)
    s3.put_object(Bucket=locked, Key="k", Body=b"x")
    head = s3.head_object(Bucket=locked, Key="k")
    assert head["ObjectLockMode"] == "GOVERNANCE"
    assert abs(head["ObjectLockRetainUntilDate"] - soon(3 * 86400)) < datetime.timedelta(minutes=1)


def test_governance(s3, locked):
    until = soon()
    put = s3.put_object(Bucket=locked, Key="k", Body=b"x", ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=until)
    which = {"Bucket": locked, "Key": "k", "VersionId": put["VersionId"]}
    kept = s3.get_object_retention(**which)["Retention"]
    assert kept == {"Mode": "GOVERNANCE", "RetainUntilDate": until}
    with fails(403, "AccessDenied"):
        s3.delete_object(**which)
    with fails(403, "AccessDenied"):
        s3.put_object_retention(**which, Retention={"Mode": "GOVERNANCE", "RetainUntilDate": soon(60)})
    s3.put_object_retention(**which, Retention={"Mode": "GOVERNANCE", "RetainUntilDate": soon(7200)})
    s3.delete_object(Bucket=locked, Key="k")
    s3.put_object(Bucket=locked, Key="k", Body=b"new")
    assert s3.get_object(**which)["Body"].read() == b"x"
    names = [{"Key": "k", "VersionId": put["VersionId"]}]
    refused = s3.delete_objects(Bucket=locked, Delete={"Objects": names})
    assert [e["Code"] for e in refused["Errors"]] == ["AccessDenied"]
    gone = s3.delete_objects(Bucket=locked, Delete={"Objects": names}, BypassGovernanceRetention=True)
    assert [d["VersionId"] for d in gone["Deleted"]] == [put["VersionId"]]


def test_legal_hold(s3, locked):
    put = s3.put_object(Bucket=locked, Key="k", Body=b"x", ObjectLockLegalHoldStatus="ON")
    which = {"Bucket": locked, "Key": "k", "VersionId": put["VersionId"]}
    assert s3.get_object_legal_hold(**which)["LegalHold"]["Status"] == "ON"
    with fails(403, "AccessDenied"):
        s3.delete_object(**which, BypassGovernanceRetention=True)
    s3.put_object_legal_hold(**which, LegalHold={"Status": "OFF"})
    assert s3.head_object(**which)["ObjectLockLegalHoldStatus"] == "OFF"
    s3.delete_object(**which)


def test_multipart_and_copy(s3, locked):
    until = soon()
    lock = {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": until, "ObjectLockLegalHoldStatus": "ON"}
    upload = s3.create_multipart_upload(Bucket=locked, Key="m", **lock)["UploadId"]
    part = s3.upload_part(Bucket=locked, Key="m", UploadId=upload, PartNumber=1, Body=b"x")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    s3.complete_multipart_upload(Bucket=locked, Key="m", UploadId=upload, MultipartUpload=parts)
    s3.copy_object(Bucket=locked, Key="c", CopySource={"Bucket": locked, "Key": "m"}, **lock)
    s3.copy_object(Bucket=locked, Key="plain", CopySource={"Bucket": locked, "Key": "m"})
    for key in "m", "c":
        head = s3.head_object(Bucket=locked, Key=key)
        assert (head["ObjectLockMode"], head["ObjectLockRetainUntilDate"]) == ("GOVERNANCE", until)
        assert head["ObjectLockLegalHoldStatus"] == "ON"
    assert "ObjectLockMode" not in s3.head_object(Bucket=locked, Key="plain")

"""boto3 on a server whose buckets have access control lists (--object-ownership ObjectWriter), and two accounts."""

import os
import urllib.error
import urllib.request

import boto3
import pytest
from botocore.client import Config

import kit
from errs import fails

ALL_USERS = "http://acs.amazonaws.com/groups/global/AllUsers"
AUTHENTICATED = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers"


def client(access, secret):
    config = Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1})
    return boto3.client("s3", endpoint_url=kit.ENDPOINT, aws_access_key_id=access, aws_secret_access_key=secret, config=config)


@pytest.fixture(scope="module")
def s3():
    return client(kit.ACCESS, kit.SECRET)


@pytest.fixture(scope="module")
def other():
    """A client of another account."""
    return client(os.environ["WEFT_OTHER_ACCESS_KEY"], os.environ["WEFT_OTHER_SECRET_KEY"])


@pytest.fixture
def bucket(s3):
    yield from kit.fresh_bucket(s3, "acl")


def account(s3):
    """The canonical id of a client's account."""
    return s3.list_buckets()["Owner"]["ID"]


def anonymous(path):
    """The status that somebody without a key gets."""
    try:
        with urllib.request.urlopen(f"{kit.ENDPOINT}/{path}") as answer:
            return answer.status
    except urllib.error.HTTPError as refused:
        return refused.code


def grants(answer):
    return sorted((g["Grantee"].get("URI") or g["Grantee"]["ID"], g["Permission"]) for g in answer["Grants"])


def may(call, **named):
    """Whether a call succeeds; if not it must be for want of rights."""
    try:
        call(**named)
    except call.__self__.exceptions.ClientError as refused:
        assert refused.response["ResponseMetadata"]["HTTPStatusCode"] == 403, refused.response
        return False
    return True


@pytest.mark.parametrize(
    "canned, others, everybody",
    [("private", False, False), ("authenticated-read", True, False), ("public-read", True, True)],
)
def test_canned(s3, other, bucket, canned, others, everybody):
    """On an object when it is put, and on a bucket that has it later."""
    s3.put_object(Bucket=bucket, Key="o", Body=b"o", ACL=canned)
    assert may(other.get_object, Bucket=bucket, Key="o") == others
    assert (anonymous(f"{bucket}/o") == 200) == everybody
    assert not may(other.list_objects_v2, Bucket=bucket)
    s3.put_bucket_acl(Bucket=bucket, ACL=canned)
    assert may(other.list_objects_v2, Bucket=bucket) == others
    assert (anonymous(f"{bucket}?list-type=2") == 200) == everybody
    assert not may(other.put_object, Bucket=bucket, Key="n", Body=b"n")
    want = {"authenticated-read": [(AUTHENTICATED, "READ")], "public-read": [(ALL_USERS, "READ")]}.get(canned, [])
    want = sorted([(account(s3), "FULL_CONTROL"), *want])
    assert grants(s3.get_object_acl(Bucket=bucket, Key="o")) == want == grants(s3.get_bucket_acl(Bucket=bucket))


def test_lists_of_every_write(s3, bucket):
    """Parts and copies take a list as a put does; a copy does not take it along."""
    upload = s3.create_multipart_upload(Bucket=bucket, Key="parts", ACL="public-read")["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key="parts", UploadId=upload, PartNumber=1, Body=b"p")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    s3.complete_multipart_upload(Bucket=bucket, Key="parts", UploadId=upload, MultipartUpload=parts)
    s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/parts")
    s3.copy_object(Bucket=bucket, Key="public copy", CopySource=f"{bucket}/parts", ACL="public-read")
    assert [anonymous(f"{bucket}/{key}") for key in ("parts", "copy", "public%20copy")] == [200, 403, 200]


def test_grants(s3, other, bucket):
    """Grants to an account: by header, by document; each permission for itself, and taken back again."""
    me, them = account(s3), account(other)
    s3.put_object(Bucket=bucket, Key="o", Body=b"o", GrantRead=f'id="{them}"')
    # Headers that grant leave nothing to the owner but what they say; it owns the object and may change that.
    assert grants(s3.get_object_acl(Bucket=bucket, Key="o")) == [(them, "READ")]
    assert may(other.get_object, Bucket=bucket, Key="o") and not may(other.get_object_acl, Bucket=bucket, Key="o")

    def grant(*permissions):
        to = {"Type": "CanonicalUser", "ID": them}
        all = [{"Grantee": to, "Permission": p} for p in permissions]
        all.append({"Grantee": {"Type": "CanonicalUser", "ID": me}, "Permission": "FULL_CONTROL"})
        s3.put_object_acl(Bucket=bucket, Key="o", AccessControlPolicy={"Owner": {"ID": me}, "Grants": all})

    grant("READ_ACP")
    assert not may(other.get_object, Bucket=bucket, Key="o") and may(other.get_object_acl, Bucket=bucket, Key="o")
    grant("WRITE_ACP")
    assert may(other.put_object_acl, Bucket=bucket, Key="o", ACL="public-read") and anonymous(f"{bucket}/o") == 200
    grant()
    assert not may(other.put_object_acl, Bucket=bucket, Key="o", ACL="public-read") and anonymous(f"{bucket}/o") == 403


def test_versions_have_their_own(s3, bucket):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    old = s3.put_object(Bucket=bucket, Key="v", Body=b"old")["VersionId"]
    new = s3.put_object(Bucket=bucket, Key="v", Body=b"new")["VersionId"]
    s3.put_object_acl(Bucket=bucket, Key="v", VersionId=old, ACL="public-read")
    assert anonymous(f"{bucket}/v?versionId={old}") == 200 and anonymous(f"{bucket}/v?versionId={new}") == 403


def test_the_writer_owns(s3, other, bucket):
    """What another account writes is its own until it gives the bucket's owner rights; ownership controls change that."""
    s3.put_bucket_acl(Bucket=bucket, GrantWrite=f'id="{account(other)}"', GrantFullControl=f'id="{account(s3)}"')
    other.put_object(Bucket=bucket, Key="theirs", Body=b"t")
    assert other.get_object_acl(Bucket=bucket, Key="theirs")["Owner"]["ID"] == account(other)
    s3.put_bucket_ownership_controls(
        Bucket=bucket, OwnershipControls={"Rules": [{"ObjectOwnership": "BucketOwnerPreferred"}]}
    )
    other.put_object(Bucket=bucket, Key="given", Body=b"g", ACL="bucket-owner-full-control")
    assert s3.get_object_acl(Bucket=bucket, Key="given")["Owner"]["ID"] == account(s3)
    enforced = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    with fails(400, "InvalidBucketAclWithObjectOwnership"):
        s3.put_bucket_ownership_controls(Bucket=bucket, OwnershipControls=enforced)
    s3.put_bucket_acl(Bucket=bucket, ACL="private")
    s3.put_bucket_ownership_controls(Bucket=bucket, OwnershipControls=enforced)
    assert may(s3.get_object, Bucket=bucket, Key="theirs")
    with fails(400, "AccessControlListNotSupported"):
        s3.put_object_acl(Bucket=bucket, Key="theirs", ACL="public-read")


def test_public_access_block(s3, bucket):
    """What is public already stops being so; nothing new becomes public."""
    s3.put_object(Bucket=bucket, Key="o", Body=b"o", ACL="public-read")
    block = {"IgnorePublicAcls": True, "BlockPublicAcls": True, "BlockPublicPolicy": True, "RestrictPublicBuckets": True}
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=block)
    assert anonymous(f"{bucket}/o") == 403
    for call in (s3.put_object, s3.put_object_acl):
        with fails(403, "AccessDenied"):
            call(Bucket=bucket, Key="o", ACL="public-read")
    s3.delete_public_access_block(Bucket=bucket)
    assert anonymous(f"{bucket}/o") == 200


def test_refused(s3, bucket):
    s3.put_object(Bucket=bucket, Key="o", Body=b"o")
    with fails(400, "InvalidArgument"):
        s3.put_object_acl(Bucket=bucket, Key="o", ACL="no-such-acl")
    with fails(400, "InvalidArgument"):
        s3.put_object_acl(Bucket=bucket, Key="o", GrantRead='id="nobody"')
    with fails(404, "NoSuchKey"):
        s3.get_object_acl(Bucket=bucket, Key="none")

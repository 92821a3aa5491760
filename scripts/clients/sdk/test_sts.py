"""Sessions: temporary credentials in signed requests, streamed uploads, multipart and presigned URLs."""

import json
import urllib.error
import urllib.parse
import urllib.request
import uuid

import boto3
import pytest
from botocore.config import Config

import errs
import kit


def client(service, creds=None, **config):
    named = {}
    if creds:
        named = {"aws_access_key_id": creds["AccessKeyId"], "aws_secret_access_key": creds["SecretAccessKey"], "aws_session_token": creds.get("SessionToken")}
    return boto3.client(service, endpoint_url=kit.ENDPOINT, region_name=kit.REGION, config=Config(retries={"max_attempts": 1}, **config), **named)


@pytest.fixture
def session(bucket):
    """Credentials of a role that may do everything in the bucket, got by a user of the root account."""
    iam, name = client("iam"), "s" + uuid.uuid4().hex[:12]
    user = iam.create_user(UserName=name)["User"]["Arn"]
    key = iam.create_access_key(UserName=name)["AccessKey"]
    trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": user}, "Action": "sts:AssumeRole"}]}
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    allow = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]}]}
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=json.dumps(allow))
    yield client("sts", key).assume_role(RoleArn=role, RoleSessionName="job")["Credentials"]
    iam.delete_role_policy(RoleName=name, PolicyName="p")
    iam.delete_role(RoleName=name)
    iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
    iam.delete_user(UserName=name)


def test_session_in_s3(bucket, session):
    s3 = client("s3", session)
    s3.put_object(Bucket=bucket, Key="k", Body=b"hello", ChecksumAlgorithm="CRC32")
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"hello"
    upload = s3.create_multipart_upload(Bucket=bucket, Key="m")["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key="m", UploadId=upload, PartNumber=1, Body=kit.payload(70000))
    s3.complete_multipart_upload(Bucket=bucket, Key="m", UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})
    with errs.fails(403, "AccessDenied"):
        s3.list_buckets()


def test_presigned_by_a_session(bucket, session):
    s3 = client("s3", session, signature_version="s3v4")
    url = s3.generate_presigned_url("put_object", {"Bucket": bucket, "Key": "p"}, ExpiresIn=60)
    assert urllib.request.urlopen(urllib.request.Request(url, data=b"x", method="PUT")).status == 200
    url = s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "p"}, ExpiresIn=60)
    assert urllib.request.urlopen(url).read() == b"x"
    token = urllib.parse.quote(session["SessionToken"], safe="")
    for bad in (url.replace(f"X-Amz-Security-Token={token}", ""), url.replace(token, token[:-4] + "AAAA")):
        assert bad != url
        with pytest.raises(urllib.error.HTTPError) as failed:
            urllib.request.urlopen(bad)
        assert failed.value.code in (400, 403)


def test_token_must_belong(bucket, session):
    for change in ({"SessionToken": None}, {"SessionToken": session["SessionToken"][:-4] + "AAAA"}, {"AccessKeyId": "ASIA" + "A" * 16}):
        with pytest.raises(Exception) as failed:
            client("s3", {**session, **change}).head_bucket(Bucket=bucket)
        assert failed.value.response["ResponseMetadata"]["HTTPStatusCode"] in (400, 403)


def test_web_identity_needs_a_provider():
    sts = boto3.client("sts", endpoint_url=kit.ENDPOINT, region_name=kit.REGION)
    with errs.fails(400, "InvalidIdentityToken"):
        sts.assume_role_with_web_identity(RoleArn="arn:aws:iam::000000000000:role/none", RoleSessionName="job", WebIdentityToken="x.y.z")

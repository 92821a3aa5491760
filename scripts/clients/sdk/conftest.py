"""Fixtures of the boto3 suite."""

import boto3
import pytest
from botocore.client import Config

import kit

kit.resolve_localhost_names()


def client(endpoint=kit.ENDPOINT, style="path", **config):
    """A boto3 client that never retries, so that a test sees the first answer."""
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name=kit.REGION,
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": style},
            retries={"total_max_attempts": 1, "mode": "standard"},
            read_timeout=60,
            **config,
        ),
    )


@pytest.fixture(scope="session")
def make_client():
    return client


@pytest.fixture(scope="session")
def s3():
    return client()


@pytest.fixture
def bucket(s3):
    """A fresh bucket, emptied and deleted after the test."""
    yield from kit.fresh_bucket(s3)


@pytest.fixture
def put(s3, bucket):
    """put(key, body) stores an object in the test's bucket and returns the answer."""

    def do(key, body=b"", **named):
        return s3.put_object(Bucket=bucket, Key=key, Body=body, **named)

    return do


@pytest.fixture
def get(s3, bucket):
    """get(key) returns the object's bytes."""

    def do(key, **named):
        return s3.get_object(Bucket=bucket, Key=key, **named)["Body"].read()

    return do

"""What the suites expect of a failing call."""

import contextlib

import pytest
from botocore.exceptions import ClientError


@contextlib.contextmanager
def fails(status, *codes):
    """The block must raise a ClientError with this HTTP status and one of these S3 error codes.

    The answer to a HEAD has no body, so its code is the status. The error is given as .value of what is yielded.
    """
    with pytest.raises(ClientError) as caught:
        yield caught
    answer = caught.value.response
    got = answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]
    assert got[0] == status, got
    if codes:
        assert got[1] in codes, got

"""boto3 against the cluster of this suite: objects of bytes to 48 MiB, every byte checked.

objects.py BUCKET; begins at the end of its input. The last line of the output is "put BYTES got BYTES".
"""

import io
import os
import random
import sys

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config

MIB = 1 << 20


def payload(size):
    """size random-looking bytes, the same ones for the same size; every 8 MiB begin with their number."""
    block = random.Random(size).randbytes(min(size, 8 * MIB))
    blocks = (i.to_bytes(8, "little") + block[8:] for i in range(-(-size // (8 * MIB))))
    return b"".join(blocks)[:size] if size >= 8 else block


def main(bucket):
    s3 = boto3.client(
        "s3",
        endpoint_url=os.environ["WEFT_ENDPOINT"],
        region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
    )
    sys.stdin.read()
    put = got = 0
    for size in (0, 1, 70_000, 3 * MIB + 5):
        key, want = f"boto3/{size}", payload(size)
        s3.put_object(Bucket=bucket, Key=key, Body=want)
        assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == want, f"{size} bytes differ"
        put, got = put + size, got + size
    first, last = MIB - 3, 2 * MIB + 9
    part = s3.get_object(Bucket=bucket, Key=key, Range=f"bytes={first}-{last}")["Body"].read()
    assert part == want[first : last + 1], "a range differs"

    size = 48 * MIB
    want = payload(size)
    transfer = TransferConfig(multipart_threshold=8 * MIB, multipart_chunksize=16 * MIB, max_concurrency=2)
    s3.upload_fileobj(io.BytesIO(want), bucket, "boto3/large", Config=transfer)
    back = io.BytesIO()
    s3.download_fileobj(bucket, "boto3/large", back, Config=transfer)
    assert back.getvalue() == want, f"{size} bytes differ"
    print(f"put {put + size} got {got + size}")


if __name__ == "__main__":
    main(sys.argv[1])

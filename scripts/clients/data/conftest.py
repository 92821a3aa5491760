"""Fixtures of the suite `data`: a bucket, and several processes that write to one place at once."""

import subprocess
import sys

import boto3
import pytest
from botocore.client import Config

import kit


@pytest.fixture(scope="session")
def s3():
    return boto3.client("s3", endpoint_url=kit.ENDPOINT, config=Config(s3={"addressing_style": "path"}))


@pytest.fixture
def bucket(s3):
    """The name of a fresh bucket, emptied and deleted after the test."""
    yield from kit.fresh_bucket(s3, "data")


@pytest.fixture
def together():
    """together(program, count, *arguments) runs the program count times at once, each with its number and the arguments.

    The program says "ready" when it has imported what it needs and then waits for a line; all must end well.
    """
    running = []

    def run(program, count, *arguments):
        for number in range(count):
            command = [sys.executable, "-c", program, str(number), *arguments]
            running.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        for process in running:
            assert process.stdout.readline() == "ready\n"
        for process in running:
            process.stdin.write("go\n")
            process.stdin.flush()
        for process in running:
            out, _ = process.communicate(timeout=240)
            assert process.returncode == 0, out

    yield run
    for process in running:
        process.kill()
        process.wait()

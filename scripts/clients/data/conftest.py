"""Fixtures of the suite `data`: a bucket, and several processes that write to one place at once."""

import subprocess
import sys

import boto3
import pytest
from botocore.client import Config

import kit

# ENDING is how a program ends that has done its work: threads of a client's runtime, which outlive it, abort
# about one of 800 interpreters that take themselves down.
ENDING = """
import os
print("done", flush=True)
os._exit(0)
"""


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

    The program says "ready" when it has imported what it needs and then waits for a line; all must get to their end.
    """
    running = []

    def run(program, count, *arguments):
        for number in range(count):
            command = [sys.executable, "-c", program + ENDING, str(number), *arguments]
            running.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        for process in running:
            assert process.stdout.readline() == "ready\n"
        for process in running:
            process.stdin.write("go\n")
            process.stdin.flush()
        for process in running:
            out, _ = process.communicate(timeout=240)
            assert process.returncode == 0 and out.endswith("done\n"), (process.returncode, out)

    yield run
    for process in running:
        process.kill()
        process.wait()

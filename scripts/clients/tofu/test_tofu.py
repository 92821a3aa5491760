"""OpenTofu, and so Terraform: state in S3 under a lock that is an object made by conditional put."""

import concurrent.futures
import json
import os
import subprocess
import time

import boto3
import pytest
from botocore.client import Config

import kit

TOFU = os.path.join(os.path.dirname(__file__), "../../../.cache/bin/tofu")  # scripts/tools tofu
PROGRAM = """
terraform {
  backend "s3" {}
}
variable "word" {}
variable "wait" { default = "" }
resource "terraform_data" "x" {
  input = var.word
  provisioner "local-exec" { command = "while [ -e '${var.wait}' ]; do sleep 0.1; done" }
}
output "word" { value = terraform_data.x.output }
"""


class Workspace:
    """A directory with a program whose state is env/state in a bucket."""

    def __init__(self, path, bucket):
        self.path = path
        path.mkdir()
        (path / "main.tf").write_text(PROGRAM)
        backend = {
            "bucket": bucket,
            "key": "env/state",
            "region": kit.REGION,
            "use_path_style": "true",
            "use_lockfile": "true",
            "skip_credentials_validation": "true",
            "skip_requesting_account_id": "true",
            "endpoints": f'{{s3="{kit.ENDPOINT}"}}',
        }
        self.run("init", *(f"-backend-config={name}={value}" for name, value in backend.items()))

    def start(self, command, *arguments):
        env = {**os.environ, "TF_IN_AUTOMATION": "1", "TF_CLI_CONFIG_FILE": "/dev/null", "NO_COLOR": "1"}
        return subprocess.Popen(
            [TOFU, command, *arguments],
            cwd=self.path,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, command, *arguments, fails=False):
        """Runs tofu and returns what it says."""
        process = self.start(command, *arguments)
        out, _ = process.communicate(timeout=120)
        assert (process.returncode != 0) == fails, (arguments, process.returncode, out[-2000:])
        return out

    def apply(self, word, *arguments, fails=False):
        return self.run("apply", "-auto-approve", f"-var=word={word}", *arguments, fails=fails)


@pytest.fixture
def s3():
    return boto3.client("s3", endpoint_url=kit.ENDPOINT, config=Config(s3={"addressing_style": "path"}))


@pytest.fixture
def bucket(s3):
    """The name of a fresh bucket, emptied and deleted after the test."""
    yield from kit.fresh_bucket(s3, "tofu")


def state(s3, bucket):
    return json.loads(s3.get_object(Bucket=bucket, Key="env/state")["Body"].read())


def keys(s3, bucket):
    return [o["Key"] for o in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]


def test_state_is_shared(s3, bucket, tmp_path):
    one = Workspace(tmp_path / "1", bucket)
    one.apply("first")
    two = Workspace(tmp_path / "2", bucket)
    assert json.loads(two.run("output", "-json"))["word"]["value"] == "first"
    two.apply("second")
    assert state(s3, bucket)["outputs"]["word"]["value"] == "second"
    one.run("destroy", "-auto-approve", "-var=word=x")
    assert state(s3, bucket)["resources"] == [] and keys(s3, bucket) == ["env/state"]


def wait_for(true):
    deadline = time.monotonic() + 120
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_the_lock_refuses_a_second(s3, bucket, tmp_path):
    """While one applies another may not; the lock of one that was killed stands until it is forced."""
    one, two = Workspace(tmp_path / "1", bucket), Workspace(tmp_path / "2", bucket)
    gate = tmp_path / "gate"
    gate.touch()
    running = one.start("apply", "-auto-approve", "-var=word=mine", f"-var=wait={gate}")
    wait_for(lambda: "env/state.tflock" in keys(s3, bucket))
    assert "Error acquiring the state lock" in two.apply("theirs", fails=True)
    gate.unlink()
    assert running.wait(60) == 0, running.stdout.read()
    assert keys(s3, bucket) == ["env/state"]
    two.apply("theirs")

    gate.touch()
    running = one.start("apply", "-auto-approve", "-var=word=lost", f"-var=wait={gate}", "-replace=terraform_data.x")
    wait_for(lambda: "env/state.tflock" in keys(s3, bucket))
    running.kill()
    running.wait()
    gate.unlink()
    two.apply("refused", fails=True)
    lock = json.loads(s3.get_object(Bucket=bucket, Key="env/state.tflock")["Body"].read())["ID"]
    two.run("force-unlock", "-force", "00000000-0000-0000-0000-000000000000", fails=True)
    two.run("force-unlock", "-force", lock)
    two.apply("after")
    assert json.loads(one.run("output", "-json"))["word"]["value"] == "after"


def test_many_at_once(s3, bucket, tmp_path):
    """Each tries until it has the lock; every apply is a state of its own, so that the serial counts all of them.

    Not with -lock-timeout: tofu gives up at once when the lock that refused it is gone before it can read whose it was.
    """
    spaces = [Workspace(tmp_path / str(i), bucket) for i in range(4)]
    spaces[0].apply("start")
    before = state(s3, bucket)["serial"]

    def applied(space, word):
        process = space.start("apply", "-auto-approve", f"-var=word={word}")
        out, _ = process.communicate(timeout=120)
        assert process.returncode == 0 or "Error acquiring the state lock" in out, out
        return process.returncode == 0

    def applies(space):
        for n in range(2):
            wait_for(lambda: applied(space, f"{space.path.name}-{n}"))

    with concurrent.futures.ThreadPoolExecutor(len(spaces)) as pool:
        for done in [pool.submit(applies, space) for space in spaces]:
            done.result()
    assert state(s3, bucket)["serial"] - before >= 2 * len(spaces)
    assert keys(s3, bucket) == ["env/state"]

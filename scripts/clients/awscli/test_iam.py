"""aws cli: users, keys, groups, policies, roles and sessions, and what they may then do in S3."""

import json
import uuid

import pytest

import cli
import kit

ROOT = "000000000000"


def aws(*arguments, creds=None, fails=None):
    """Runs one command and returns its JSON; with fails it must fail with that error code."""
    env = {}
    if creds:
        env = {"AWS_ACCESS_KEY_ID": creds["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": creds["SecretAccessKey"]}
        if "SessionToken" in creds:
            env["AWS_SESSION_TOKEN"] = creds["SessionToken"]
    done = cli.run("--endpoint-url", kit.ENDPOINT, "--output", "json", *arguments, env=env)
    if fails:
        assert done.returncode != 0 and f"({fails})".encode() in done.stderr, (arguments, done.stdout, done.stderr)
        return None
    assert done.returncode == 0, (arguments, done.stdout, done.stderr)
    return json.loads(done.stdout) if done.stdout.strip() else {}


def document(effect, action, resource, **more):
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": effect, "Action": action, "Resource": resource, **more}]})


@pytest.fixture
def name():
    return "u" + uuid.uuid4().hex[:12]


@pytest.fixture
def bucket():
    name = kit.bucket_name("iam")
    aws("s3api", "create-bucket", "--bucket", name)
    yield name
    assert cli.run("--endpoint-url", kit.ENDPOINT, "s3", "rb", "--force", f"s3://{name}").returncode == 0


@pytest.fixture
def user(name):
    aws("iam", "create-user", "--user-name", name, "--tags", "Key=team,Value=climate")
    creds = aws("iam", "create-access-key", "--user-name", name)["AccessKey"]
    yield name, creds
    for key in aws("iam", "list-access-keys", "--user-name", name)["AccessKeyMetadata"]:
        aws("iam", "delete-access-key", "--user-name", name, "--access-key-id", key["AccessKeyId"])
    for policy in aws("iam", "list-user-policies", "--user-name", name)["PolicyNames"]:
        aws("iam", "delete-user-policy", "--user-name", name, "--policy-name", policy)
    for policy in aws("iam", "list-attached-user-policies", "--user-name", name)["AttachedPolicies"]:
        aws("iam", "detach-user-policy", "--user-name", name, "--policy-arn", policy["PolicyArn"])
    for group in aws("iam", "list-groups-for-user", "--user-name", name)["Groups"]:
        aws("iam", "remove-user-from-group", "--user-name", name, "--group-name", group["GroupName"])
    aws("iam", "delete-user", "--user-name", name)
    aws("iam", "get-user", "--user-name", name, fails="NoSuchEntity")


def test_user_and_keys(user, bucket):
    name, creds = user
    got = aws("iam", "get-user", "--user-name", name)["User"]
    assert got["Arn"] == f"arn:aws:iam::{ROOT}:user/{name}" and got["Tags"] == [{"Key": "team", "Value": "climate"}]
    assert name in [u["UserName"] for u in aws("iam", "list-users")["Users"]]
    assert aws("sts", "get-caller-identity", creds=creds)["Arn"] == got["Arn"]
    aws("s3api", "list-objects-v2", "--bucket", bucket, creds=creds, fails="AccessDenied")
    aws("iam", "put-user-policy", "--user-name", name, "--policy-name", "list", "--policy-document", document("Allow", "s3:ListBucket", "*"))
    aws("s3api", "list-objects-v2", "--bucket", bucket, creds=creds)
    back = aws("iam", "get-user-policy", "--user-name", name, "--policy-name", "list")["PolicyDocument"]
    assert back["Statement"][0]["Action"] == "s3:ListBucket"
    aws("iam", "delete-user", "--user-name", name, fails="DeleteConflict")
    aws("iam", "update-access-key", "--user-name", name, "--access-key-id", creds["AccessKeyId"], "--status", "Inactive")
    aws("sts", "get-caller-identity", creds=creds, fails="InvalidClientTokenId")
    aws("s3api", "list-objects-v2", "--bucket", bucket, creds=creds, fails="InvalidAccessKeyId")


def test_groups_and_managed_policies(user, bucket, name):
    member, creds = user
    group = "g" + name
    aws("iam", "create-group", "--group-name", group)
    policy = aws("iam", "create-policy", "--policy-name", group, "--policy-document", document("Allow", "s3:PutObject", "*"))["Policy"]["Arn"]
    aws("iam", "attach-group-policy", "--group-name", group, "--policy-arn", policy)
    aws("iam", "attach-user-policy", "--user-name", member, "--policy-arn", "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess")
    put = ("s3api", "put-object", "--bucket", bucket, "--key", "k")
    aws(*put, creds=creds, fails="AccessDenied")
    aws("iam", "add-user-to-group", "--group-name", group, "--user-name", member)
    aws(*put, creds=creds)
    aws("s3api", "head-object", "--bucket", bucket, "--key", "k", creds=creds)
    assert [u["UserName"] for u in aws("iam", "get-group", "--group-name", group)["Users"]] == [member]
    aws("iam", "create-policy-version", "--policy-arn", policy, "--set-as-default", "--policy-document", document("Deny", "s3:PutObject", "*"))
    aws(*put, creds=creds, fails="AccessDenied")
    version = aws("iam", "get-policy", "--policy-arn", policy)["Policy"]["DefaultVersionId"]
    text = aws("iam", "get-policy-version", "--policy-arn", policy, "--version-id", version)["PolicyVersion"]["Document"]
    assert text["Statement"][0]["Effect"] == "Deny"
    aws("iam", "remove-user-from-group", "--group-name", group, "--user-name", member)
    aws("iam", "detach-group-policy", "--group-name", group, "--policy-arn", policy)
    aws("iam", "delete-policy", "--policy-arn", policy)
    aws("iam", "delete-group", "--group-name", group)


def test_roles_and_sessions(user, bucket):
    member, creds = user
    role = "r" + member
    trust = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
                        "Principal": {"AWS": f"arn:aws:iam::{ROOT}:user/{member}"}}]})
    arn = aws("iam", "create-role", "--role-name", role, "--assume-role-policy-document", trust, "--max-session-duration", "7200")["Role"]["Arn"]
    aws("iam", "put-role-policy", "--role-name", role, "--policy-name", "all", "--policy-document", document("Allow", "s3:*", "*"))
    session = aws("sts", "assume-role", "--role-arn", arn, "--role-session-name", "job", "--policy",
                  document("Allow", ["s3:PutObject", "s3:GetObject"], f"arn:aws:s3:::{bucket}/*"), creds=creds)["Credentials"]
    assert aws("sts", "get-caller-identity", creds=session)["Arn"] == f"arn:aws:sts::{ROOT}:assumed-role/{role}/job"
    aws("s3api", "put-object", "--bucket", bucket, "--key", "k", creds=session)
    aws("s3api", "list-objects-v2", "--bucket", bucket, creds=session, fails="AccessDenied")  # not in the session's policy
    aws("s3api", "put-object", "--bucket", bucket, "--key", "k", creds={**session, "SessionToken": session["SessionToken"][:-4] + "AAAA"}, fails="InvalidToken")
    assert aws("iam", "get-role", "--role-name", role)["Role"]["AssumeRolePolicyDocument"] == json.loads(trust)
    aws("iam", "delete-role", "--role-name", role, fails="DeleteConflict")
    aws("iam", "delete-role-policy", "--role-name", role, "--policy-name", "all")
    aws("iam", "delete-role", "--role-name", role)
    aws("sts", "assume-role", "--role-arn", arn, "--role-session-name", "job", creds=creds, fails="AccessDenied")
    aws("s3api", "put-object", "--bucket", bucket, "--key", "k", creds=session, fails="InvalidAccessKeyId")
    aws("iam", "attach-user-policy", "--user-name", member, "--policy-arn", "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess")
    token = aws("sts", "get-session-token", "--duration-seconds", "900", creds=creds)["Credentials"]
    aws("s3api", "get-object-acl", "--bucket", bucket, "--key", "k", creds=token)
    aws("iam", "list-users", creds=token, fails="AccessDenied")


def test_providers():
    url = f"https://localhost/{uuid.uuid4().hex}"
    arn = aws("iam", "create-open-id-connect-provider", "--url", url, "--client-id-list", "weft", "--thumbprint-list", "0" * 40)["OpenIDConnectProviderArn"]
    got = aws("iam", "get-open-id-connect-provider", "--open-id-connect-provider-arn", arn)
    assert got["Url"] == url.removeprefix("https://") and got["ClientIDList"] == ["weft"]
    assert arn in [p["Arn"] for p in aws("iam", "list-open-id-connect-providers")["OpenIDConnectProviderList"]]
    aws("iam", "delete-open-id-connect-provider", "--open-id-connect-provider-arn", arn)

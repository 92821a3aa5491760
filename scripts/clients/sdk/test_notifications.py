"""Bucket notifications: events that come to a webhook."""

import http.server
import json
import os
import queue
import threading

import pytest

from errs import fails

HOOK = os.environ.get("WEFT_HOOK", "")
ARN = "arn:weft:notify:::hook"


class Hook(http.server.BaseHTTPRequestHandler):
    """Takes events, after it has refused the first."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        refused = self.server.refuse
        self.server.refuse = False
        if not refused:
            for record in json.loads(body)["Records"]:
                self.server.events.put(record)
        self.send_response(503 if refused else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def hook():
    """next(hook) is the record of the next event."""
    if not HOOK:
        pytest.skip("the server has no webhook: it was not started by scripts/clients/run")
    host, port = HOOK.rsplit(":", 1)
    server = http.server.ThreadingHTTPServer((host, int(port)), Hook)
    server.events, server.refuse = queue.Queue(), True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield iter(lambda: server.events.get(timeout=60), None)
    server.shutdown()
    server.server_close()


def configure(s3, bucket, events, *rules):
    rule = {"Id": "mine", "QueueArn": ARN, "Events": events}
    if rules:
        rule["Filter"] = {"Key": {"FilterRules": [{"Name": n, "Value": v} for n, v in rules]}}
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={"QueueConfigurations": [rule]})


def test_webhook(s3, bucket, put, hook):
    configure(s3, bucket, ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"], ("prefix", "in/"))
    put("out/k", b"not told")
    answer = put("in/a key", b"hello")
    s3.copy_object(Bucket=bucket, Key="in/copy", CopySource={"Bucket": bucket, "Key": "in/a key"})
    s3.delete_object(Bucket=bucket, Key="in/copy")
    put_event, others = None, {}
    while len(others) < 2 or put_event is None:
        e = next(hook)
        assert e["s3"]["bucket"]["name"] == bucket and e["s3"]["configurationId"] == "mine"
        if e["eventName"].startswith("ObjectCreated:Put"):
            put_event = e
        else:
            others[e["eventName"]] = e["s3"]["object"]["key"]
    assert others == {"ObjectCreated:Copy": "in/copy", "ObjectRemoved:Delete": "in/copy"}
    told = put_event["s3"]["object"]
    assert told["key"] == "in/a+key" and told["size"] == 5 and told["eTag"] == answer["ETag"].strip('"')
    assert put_event["responseElements"]["x-amz-request-id"] == answer["ResponseMetadata"]["RequestId"]


def test_configuration(s3, bucket):
    if not HOOK:
        pytest.skip("the server has no webhook")
    configure(s3, bucket, ["s3:ObjectCreated:Put"], ("suffix", ".nc"))
    got = s3.get_bucket_notification_configuration(Bucket=bucket)["QueueConfigurations"]
    assert [(q["QueueArn"], q["Events"]) for q in got] == [(ARN, ["s3:ObjectCreated:Put"])]
    with fails(400, "InvalidArgument"):
        s3.put_bucket_notification_configuration(
            Bucket=bucket,
            NotificationConfiguration={"QueueConfigurations": [{"QueueArn": ARN + "x", "Events": ["s3:ObjectCreated:*"]}]},
        )
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={})
    assert "QueueConfigurations" not in s3.get_bucket_notification_configuration(Bucket=bucket)

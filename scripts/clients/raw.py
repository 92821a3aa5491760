"""Requests made and signed by hand, for what no client library would send.

The signing is written from the SigV4 description and shares no code with a client or with the server.
"""

import base64
import datetime
import hashlib
import hmac
import http.client
import re
import urllib.parse

import kit

EMPTY_SHA = hashlib.sha256(b"").hexdigest()


class Answer:
    """status, headers (lower-case names), body, and the S3 error code of the body or ''."""

    def __init__(self, response):
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = response.read()
        found = re.search(rb"<Code>([^<]*)</Code>", self.body)
        self.code = found.group(1).decode() if found else ""

    def __repr__(self):
        return f"{self.status} {self.code} {self.headers} {self.body[:300]!r}"


class Signer:
    """One signing key and time; signs a request's headers and then, one after the other, its chunks."""

    def __init__(self, access=kit.ACCESS, secret=kit.SECRET, at=None):
        at = at or datetime.datetime.now(datetime.timezone.utc)
        self.time = at.strftime("%Y%m%dT%H%M%SZ")
        self.scope = f"{self.time[:8]}/{kit.REGION}/s3/aws4_request"
        self.access = access
        self.signature = ""
        key = b"AWS4" + secret.encode()
        for part in self.scope.split("/"):
            key = _hmac(key, part)
        self.key = key

    def headers(self, method, path, headers, payload_hash):
        """Adds x-amz-date, x-amz-content-sha256 and authorization to headers; signs all of them."""
        headers["x-amz-date"] = self.time
        headers["x-amz-content-sha256"] = payload_hash
        path, _, query = path.partition("?")
        pairs = ["=".join(p) for p in sorted((p.partition("=")[::2]) for p in query.split("&") if p)]
        names = sorted(headers)
        lines = [method, path, "&".join(pairs)]
        lines += [f"{n}:{headers[n].strip()}" for n in names]
        lines += ["", ";".join(names), payload_hash]
        digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
        self.signature = self._sign("AWS4-HMAC-SHA256", digest)
        headers["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={self.access}/{self.scope}, "
            f"SignedHeaders={';'.join(names)}, Signature={self.signature}"
        )

    def chunk(self, data):
        """One chunk of a STREAMING-AWS4-HMAC-SHA256-PAYLOAD body; the last one is empty."""
        self.signature = self._sign(
            "AWS4-HMAC-SHA256-PAYLOAD", self.signature, EMPTY_SHA, hashlib.sha256(data).hexdigest()
        )
        return f"{len(data):x};chunk-signature={self.signature}\r\n".encode() + data + b"\r\n"

    def trailer(self, line):
        """The signed trailer `name:value` after the last chunk, without that chunk's own empty line."""
        self.signature = self._sign(
            "AWS4-HMAC-SHA256-TRAILER", self.signature, hashlib.sha256(line.encode() + b"\n").hexdigest()
        )
        return f"{line}\r\nx-amz-trailer-signature:{self.signature}\r\n\r\n".encode()

    def _sign(self, kind, *digests):
        text = "\n".join([kind, self.time, self.scope, *digests])
        return _hmac(self.key, text).hex()


def _hmac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def send(method, path, body=b"", headers=None, signer=None, payload_hash=None, host=None, frame=None):
    """Sends one signed request and returns the Answer.

    path is sent as it is: already escaped, with its query. signer=False sends the request unsigned. payload_hash
    replaces the hash of the body. frame(signer) gives the body when it depends on the request's signature.
    """
    headers = {name.lower(): value for name, value in (headers or {}).items()}
    headers["host"] = host or f"{kit.HOST}:{kit.PORT}"
    if signer is not False:
        signer = signer or Signer()
        signer.headers(method, path, headers, payload_hash or hashlib.sha256(body).hexdigest())
    if frame:
        body = frame(signer)
    connection = http.client.HTTPConnection(kit.HOST, int(kit.PORT), timeout=60)
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value.encode("utf-8"))
        if "content-length" not in headers and "transfer-encoding" not in headers:
            connection.putheader("content-length", str(len(body)))
        connection.endheaders(body)
        return Answer(connection.getresponse())
    finally:
        connection.close()


def quote(text):
    """Escapes a key as SigV4 wants it in a path, slashes kept."""
    return urllib.parse.quote(text, safe="/~")


def base64_md5(data):
    return base64.b64encode(hashlib.md5(data).digest()).decode()

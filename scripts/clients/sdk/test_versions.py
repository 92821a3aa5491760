"""Versioning: versions, delete markers, the null version, listing them."""

import pytest

import kit
from errs import fails


def set_versioning(s3, bucket, status):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": status})


@pytest.fixture
def versioned(s3, bucket):
    set_versioning(s3, bucket, "Enabled")
    return bucket


def test_status(s3, bucket):
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
    for status in ("Enabled", "Suspended", "Enabled"):
        set_versioning(s3, bucket, status)
        assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == status


def test_unversioned_has_null_version(s3, bucket, put):
    assert "VersionId" not in put("k", b"x")
    versions = s3.list_object_versions(Bucket=bucket)["Versions"]
    assert [(v["Key"], v["VersionId"], v["IsLatest"]) for v in versions] == [("k", "null", True)]


def test_versions_are_kept(s3, versioned, put, get):
    ids = [put("k", f"version {i}".encode(), Metadata={"n": str(i)})["VersionId"] for i in range(5)]
    assert len(set(ids)) == 5
    assert get("k") == b"version 4"
    for i, version in enumerate(ids):
        assert get("k", VersionId=version) == f"version {i}".encode()
        head = s3.head_object(Bucket=versioned, Key="k", VersionId=version)
        assert head["Metadata"] == {"n": str(i)} and head["VersionId"] == version
    listed = s3.list_object_versions(Bucket=versioned)["Versions"]
    assert [v["VersionId"] for v in listed] == ids[::-1]
    assert [v["IsLatest"] for v in listed] == [True, False, False, False, False]
    s3.delete_object(Bucket=versioned, Key="k", VersionId=ids[4])
    assert get("k") == b"version 3"
    s3.delete_object(Bucket=versioned, Key="k", VersionId=ids[1])
    assert get("k") == b"version 3"
    with fails(404, "NoSuchVersion"):
        get("k", VersionId=ids[1])


def test_delete_marker(s3, versioned, put, get):
    first = put("k", b"first")["VersionId"]
    answer = s3.delete_object(Bucket=versioned, Key="k")
    marker = answer["VersionId"]
    assert answer["DeleteMarker"] is True
    with fails(404, "NoSuchKey") as caught:
        get("k")
    headers = caught.value.response["ResponseMetadata"]["HTTPHeaders"]
    assert headers["x-amz-delete-marker"] == "true" and headers["x-amz-version-id"] == marker
    with fails(405, "MethodNotAllowed"):
        get("k", VersionId=marker)
    assert get("k", VersionId=first) == b"first"
    assert s3.list_objects_v2(Bucket=versioned)["KeyCount"] == 0
    listed = s3.list_object_versions(Bucket=versioned)
    assert [(m["VersionId"], m["IsLatest"]) for m in listed["DeleteMarkers"]] == [(marker, True)]
    assert [(v["VersionId"], v["IsLatest"]) for v in listed["Versions"]] == [(first, False)]
    answer = s3.delete_object(Bucket=versioned, Key="k", VersionId=marker)
    assert answer["DeleteMarker"] is True and answer["VersionId"] == marker
    assert get("k") == b"first"


def test_delete_objects_with_versions(s3, versioned, put):
    one, two = put("k", b"1")["VersionId"], put("k", b"2")["VersionId"]
    answer = s3.delete_objects(Bucket=versioned, Delete={"Objects": [{"Key": "k", "VersionId": one}, {"Key": "other"}]})
    by_key = {d["Key"]: d for d in answer["Deleted"]}
    assert by_key["k"]["VersionId"] == one and "DeleteMarker" not in by_key["k"]
    assert by_key["other"]["DeleteMarker"] is True and by_key["other"]["DeleteMarkerVersionId"]
    versions = s3.list_object_versions(Bucket=versioned, Prefix="k")["Versions"]
    assert [v["VersionId"] for v in versions] == [two]


def test_suspended_overwrites_null(s3, bucket, put, get):
    put("k", b"before")
    set_versioning(s3, bucket, "Enabled")
    kept = put("k", b"enabled")["VersionId"]
    assert get("k", VersionId="null") == b"before"
    set_versioning(s3, bucket, "Suspended")
    put("k", b"suspended")
    assert get("k", VersionId="null") == b"suspended"
    assert get("k", VersionId=kept) == b"enabled"
    assert len(s3.list_object_versions(Bucket=bucket)["Versions"]) == 2
    answer = s3.delete_object(Bucket=bucket, Key="k")
    assert answer["DeleteMarker"] is True and answer["VersionId"] == "null"
    with fails(404, "NoSuchKey"):
        get("k")
    assert get("k", VersionId=kept) == b"enabled"


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_listing_pages(s3, versioned, put, size):
    want = []
    for key in ("a", "a/b", "b", "c/1", "c/2"):
        mine = [put(key, str(i).encode())["VersionId"] for i in range(3)]
        if key in ("a", "c/1"):
            mine.append(s3.delete_object(Bucket=versioned, Key=key)["VersionId"])
        want += [(key, v) for v in mine[::-1]]
    found = []
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=versioned, PaginationConfig={"PageSize": size}):
        here = page.get("Versions", []) + page.get("DeleteMarkers", [])
        assert len(here) == size or not page["IsTruncated"]
        found += [(v["Key"], v["VersionId"]) for v in here]
    assert sorted(found) == sorted(want)
    if size == 1:
        assert found == want
    folders = s3.list_object_versions(Bucket=versioned, Delimiter="/")
    assert [p["Prefix"] for p in folders["CommonPrefixes"]] == ["a/", "c/"]
    assert {v["Key"] for v in folders["Versions"]} == {"a", "b"}


def test_unknown_version(s3, versioned, put, get):
    put("k", b"x")
    with fails(404, "NoSuchVersion"):
        get("k", VersionId="null")
    with fails(400, "InvalidArgument"):
        get("k", VersionId="")


def test_copy_of_a_version(s3, versioned, put, get):
    old = put("k", b"old")["VersionId"]
    put("k", b"new")
    answer = s3.copy_object(Bucket=versioned, Key="copy", CopySource={"Bucket": versioned, "Key": "k", "VersionId": old})
    assert get("copy") == b"old"
    assert answer["CopySourceVersionId"] == old and answer["VersionId"]


def test_tags_of_versions(s3, versioned, put):
    old = put("k", b"1", Tagging="v=old")["VersionId"]
    put("k", b"2", Tagging="v=new")
    get = s3.get_object_tagging
    assert get(Bucket=versioned, Key="k", VersionId=old)["TagSet"] == [{"Key": "v", "Value": "old"}]
    assert get(Bucket=versioned, Key="k")["TagSet"] == [{"Key": "v", "Value": "new"}]


def test_multipart_makes_a_version(s3, versioned, put, get):
    first = put("k", b"first")["VersionId"]
    upload = s3.create_multipart_upload(Bucket=versioned, Key="k")["UploadId"]
    etag = s3.upload_part(Bucket=versioned, Key="k", UploadId=upload, PartNumber=1, Body=b"second")["ETag"]
    parts = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
    second = s3.complete_multipart_upload(Bucket=versioned, Key="k", UploadId=upload, MultipartUpload=parts)["VersionId"]
    assert second != first
    assert (get("k"), get("k", VersionId=first)) == (b"second", b"first")


def test_large_versions(s3, versioned, put, get):
    ids = [put("big", kit.payload(2 * kit.MIB, i))["VersionId"] for i in range(3)]
    for i, version in enumerate(ids):
        assert get("big", VersionId=version) == kit.payload(2 * kit.MIB, i)

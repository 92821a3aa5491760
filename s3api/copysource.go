package s3api

import (
	"net/url"
	"strings"
)

// copySource is the object that a copy reads.
type copySource struct {
	bucket, key, versionID string
}

// parseCopySource reads x-amz-copy-source: "[/]bucket/key[?versionId=id]" with
// the path escaped. A "+" is itself.
func parseCopySource(header string) (copySource, error) {
	var s copySource
	bad := badArgument("x-amz-copy-source", header, "Copy Source must mention the source bucket and key: sourcebucket/sourcekey")
	path, rest, found := strings.Cut(header, "?")
	if found {
		id, ok := strings.CutPrefix(rest, "versionId=")
		if !ok || strings.ContainsAny(id, "&") {
			return s, bad
		}
		var err error
		if s.versionID, err = url.QueryUnescape(id); err != nil || s.versionID == "" {
			return s, bad
		}
		if err := checkVersionID(s.versionID); err != nil {
			return s, err
		}
	}
	path, err := url.PathUnescape(strings.TrimPrefix(path, "/"))
	if err != nil {
		return s, bad
	}
	path = strings.TrimPrefix(path, "/") // some clients escape the first slash
	s.bucket, s.key, _ = strings.Cut(path, "/")
	if s.bucket == "" || s.key == "" {
		return s, bad
	}
	if strings.HasPrefix(s.bucket, "arn:") {
		return s, errNotImplemented
	}
	if !plausibleBucketName(s.bucket) {
		return s, errInvalidBucketName
	}
	return s, checkKey(s.key)
}

package s3api

import "strings"

const taggingHeader = "X-Amz-Tagging"

// obeyed reports whether an operation acts upon a header that there are condition keys for. One
// that it ignores satisfies no policy: anybody could send it.
func obeyed(r *Route, name string) bool {
	if r == nil {
		return false
	}
	makes := false // an object, or the beginning of one
	switch r.Operation {
	case "PutObject", "PostObject", "CopyObject", "CreateMultipartUpload":
		makes = true
	}
	switch name {
	case "X-Amz-Content-Sha256":
		return true
	case copySourceHeader:
		return r.Header == copySourceHeader
	case "X-Amz-Metadata-Directive":
		return r.Operation == "CopyObject"
	case "X-Amz-Object-Ownership":
		return r.Operation == "CreateBucket"
	case sseHeaders[0]:
		return makes || partOf(r) || reads(r)
	case "If-Match", "If-None-Match":
		return makes && r.Operation != "CreateMultipartUpload" || reads(r) || r.Operation == "CompleteMultipartUpload" ||
			r.Operation == "RenameObject" || r.Operation == "DeleteObject"
	}
	if name == "X-Amz-Acl" || strings.HasPrefix(name, "X-Amz-Grant-") {
		return makes || r.Operation == "CreateBucket" || r.Operation == "PutBucketAcl" || r.Operation == "PutObjectAcl"
	}
	return makes
}

func partOf(r *Route) bool { return r.Operation == "UploadPart" || r.Operation == "UploadPartCopy" }

func reads(r *Route) bool {
	return r.Operation == "GetObject" || r.Operation == "HeadObject" || r.Operation == "GetObjectAttributes"
}

// lists reports the same of a parameter of a listing.
func lists(r *Route, name string) bool {
	switch r.Operation {
	case "ListObjects", "ListObjectsV2", "ListObjectVersions":
		return true
	case "ListMultipartUploads":
		return name != "max-keys"
	}
	return false
}

// begun is for policy.Request: keys about headers that the beginning of an upload obeys, and
// its parts and end do not. Policies were asked about these then, and clients do not repeat them.
func (x *conditions) begun(key string) bool {
	name, tagged := headerKeys[key], strings.HasPrefix(key, "s3:requestobjecttag")
	switch {
	case tagged:
		name = taggingHeader
	case key == "s3:object-lock-remaining-retention-days":
		name = lockUntilHeader
	}
	return name != "" && obeyed(&Route{Operation: "CreateMultipartUpload"}, name) && !obeyed(x.c.route, name)
}

// continues reports whether a request adds to an upload, or ends it, which begun is for.
func (n *need) continues(r *Route) bool {
	return n.action == "s3:PutObject" && (partOf(r) || r.Operation == "CompleteMultipartUpload")
}

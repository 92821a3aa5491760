package s3api

import (
	"crypto/tls"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/s3api/policy"
)

// conditions gives the values of condition keys to policies (IAM User Guide, "AWS
// global condition context keys"; Service Authorization Reference, "Condition keys for
// Amazon S3"). Nothing is worked out before a policy asks for it.
type conditions struct {
	c     *call
	who   *Principal
	owner string // account of the resource
	need  need
	// asked: a key about the document was, before it was read; inVariable: as a variable
	// of the policy.
	asked, inVariable bool
	failed            error // what could not be read
	tagsRead          bool
	tags              map[string]string // of the object
}

// headerKeys are condition keys that are a header of the request.
var headerKeys = map[string]string{
	"s3:x-amz-acl": "X-Amz-Acl", "s3:x-amz-copy-source": copySourceHeader, "s3:x-amz-metadata-directive": "X-Amz-Metadata-Directive",
	"s3:x-amz-content-sha256": "X-Amz-Content-Sha256", "s3:x-amz-storage-class": "X-Amz-Storage-Class",
	"s3:x-amz-object-ownership": "X-Amz-Object-Ownership", "s3:x-amz-website-redirect-location": "X-Amz-Website-Redirect-Location",
	"s3:x-amz-grant-full-control": "X-Amz-Grant-Full-Control", "s3:x-amz-grant-read": "X-Amz-Grant-Read", "s3:x-amz-grant-read-acp": "X-Amz-Grant-Read-Acp",
	"s3:x-amz-grant-write": "X-Amz-Grant-Write", "s3:x-amz-grant-write-acp": "X-Amz-Grant-Write-Acp",
	"s3:x-amz-server-side-encryption": "X-Amz-Server-Side-Encryption", "s3:x-amz-server-side-encryption-aws-kms-key-id": "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id",
	"s3:x-amz-server-side-encryption-customer-algorithm": "X-Amz-Server-Side-Encryption-Customer-Algorithm",
	"s3:object-lock-mode":                                "X-Amz-Object-Lock-Mode", "s3:object-lock-retain-until-date": "X-Amz-Object-Lock-Retain-Until-Date",
	"s3:object-lock-legal-hold": "X-Amz-Object-Lock-Legal-Hold", "s3:if-match": "If-Match", "s3:if-none-match": "If-None-Match",
}

// queryKeys are condition keys that are a parameter of a listing.
var queryKeys = map[string]string{"s3:prefix": "prefix", "s3:delimiter": "delimiter", "s3:max-keys": "max-keys"}

// Values implements policy.Context.
func (x *conditions) Values(key string) []string {
	if documentKey(x.c.route, key) {
		return x.ofDocument(key)
	}
	if name, ok := headerKeys[key]; ok {
		if !obeyed(x.c.route, name) {
			return nil
		}
		values := asRead(name, x.c.r.Header[name])
		switch {
		case len(values) == 0 || x.need.action == "s3:PutObject" && !guards(name, values):
			return nil
		case name == sseKeyHeader: // an empty one is none
			key := policy.KeyName(values[0])
			return optional(key, key != "")
		case name == copySourceHeader:
			return sourceNames(values[0])
		}
		return values
	}
	if key == "s3:prefix" && x.c.route.Level == ObjectLevel && x.need.action == "s3:ListBucket" {
		return []string{x.c.key} // hide asks whether this key might be listed
	}
	if name, ok := queryKeys[key]; ok {
		v, given := x.c.query.lookup(name)
		return optional(v, given && lists(x.c.route, name))
	}
	if strings.HasPrefix(key, "s3:") {
		return x.ofS3(key)
	}
	return x.global(key)
}

// asRead is what operations make of a header that is there several times: of the conditions
// one list, of others the first counts.
func asRead(name string, values []string) []string {
	switch {
	case len(values) < 2:
		return values
	case name == "If-Match" || name == "If-None-Match":
		return []string{strings.Join(values, ",")}
	}
	return values[:1]
}

// guards tells whether a condition of a write is one that S3 takes, If-None-Match with "*" and
// If-Match with an entity tag. Policies that demand a condition mean these: others that are taken
// here would let anything be written over.
func guards(name string, values []string) bool {
	if name != "If-Match" && name != "If-None-Match" || len(values) == 0 {
		return true
	}
	tags, err := etagList(values[0], name)
	return err == nil && slices.Contains(tags, "*") == (name == "If-None-Match")
}

// sourceNames are the two ways to write the source of a copy that policies may have; a client has more.
func sourceNames(header string) []string {
	src, err := parseCopySource(header)
	if err != nil {
		return nil // the operation will refuse it
	}
	name := src.bucket + "/" + src.key
	if src.versionID != "" {
		name += "?versionId=" + src.versionID
	}
	return []string{name, "/" + name}
}

func optional(v string, given bool) []string {
	if !given {
		return nil
	}
	return []string{v}
}

func (x *conditions) global(key string) []string {
	g := Globals{Request: x.c.r, Who: x.who, Owner: x.owner, Region: x.c.h.cfg.Region, Now: x.c.h.cfg.Now}
	return g.Values(key)
}

func (x *conditions) ofS3(key string) []string {
	switch key {
	case "s3:authtype":
		if x.who.Account == "" {
			return nil
		}
		switch id := &x.c.auth.Identity; {
		case id.Posted:
			return []string{"POST"}
		case id.Presigned:
			return []string{"REST-QUERY-STRING"}
		}
		return []string{"REST-HEADER"}
	case "s3:signatureversion":
		if x.c.auth.Identity.Version2 {
			return []string{"AWS"}
		}
		return optional("AWS4-HMAC-SHA256", x.who.Account != "")
	case "s3:signatureage":
		t, err := time.Parse("20060102T150405Z", x.c.query.get("X-Amz-Date"))
		return optional(strconv.FormatInt(x.c.h.cfg.Now().Sub(t).Milliseconds(), 10), err == nil && x.c.auth.Identity.Presigned)
	case "s3:tlsversion":
		if x.c.r.TLS == nil {
			return nil
		}
		return []string{strings.TrimPrefix(tls.VersionName(x.c.r.TLS.Version), "TLS ")}
	case "s3:versionid":
		return optional(x.need.version, x.need.version != "")
	case "s3:resourceaccount":
		return optional(x.owner, x.owner != "")
	case "s3:objectcreationoperation":
		return optional(strconv.FormatBool(x.creates()), x.need.action == "s3:PutObject")
	case "s3:object-lock-remaining-retention-days":
		if !obeyed(x.c.route, lockUntilHeader) {
			return nil
		}
		end, _ := time.Parse(time.RFC3339Nano, x.c.r.Header.Get(lockUntilHeader)) // the operation will refuse another
		return x.daysUntil(end)
	case "s3:requestobjecttagkeys":
		return tagKeys(x.requestTags())
	}
	if tag, ok := strings.CutPrefix(key, "s3:requestobjecttag/"); ok {
		v, given := x.requestTags()[tag]
		return optional(v, given)
	}
	if tag, ok := strings.CutPrefix(key, "s3:existingobjecttag/"); ok && x.need.key != "" {
		v, given := x.objectTags()[tag]
		return optional(v, given)
	}
	return nil
}

// creates tells the operations after which there is an object from those of an upload in
// parts, which need the same permission.
func (x *conditions) creates() bool {
	switch x.c.route.Operation {
	case "CreateMultipartUpload", "UploadPart", "UploadPartCopy":
		return false
	}
	return true
}

func tagKeys(tags map[string]string) []string { return slices.Sorted(maps.Keys(tags)) }

// requestTags are those of the header, unless they are the source's.
func (x *conditions) requestTags() map[string]string {
	if !obeyed(x.c.route, taggingHeader) || x.c.route.Operation == "CopyObject" && x.c.r.Header.Get("X-Amz-Tagging-Directive") != "REPLACE" {
		return nil
	}
	tags, err := headerTags(x.c.r.Header)
	if err != nil {
		return nil // the operation will refuse it
	}
	return tags
}

// objectTags are those that the object has now, read once however many conditions there are.
func (x *conditions) objectTags() map[string]string {
	if !x.tagsRead {
		x.tagsRead, x.tags = true, x.readTags()
	}
	return x.tags
}

func (x *conditions) readTags() map[string]string {
	if checkVersionID(x.need.version) != nil {
		return nil
	}
	v, err := x.c.judge(&x.need)
	if err != nil {
		if !errors.Is(err, metadata.ErrNoSuchKey) && !errors.Is(err, metadata.ErrNoSuchVersion) {
			x.failed = err
		}
		return nil
	}
	return v.Tags
}

var _ policy.Context = (*conditions)(nil)

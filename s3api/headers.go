package s3api

import (
	"log/slog"
	"mime"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/s3api/sigv4"
	"github.com/weftstore/weft/store"
)

const metaPrefix = "X-Amz-Meta-"

// storedHeaders are the headers that S3 keeps with an object and returns.
var storedHeaders = [...]string{"Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Type", "Expires"}

// defaultContentType is AWS's for objects stored without one.
var defaultContentType = []string{"binary/octet-stream"}

// checkHeaders refuses headers that would change what the request means and that
// nothing here acts upon. Others are ignored, as HTTP has it.
func (c *call) checkHeaders() error {
	for name, values := range c.r.Header {
		if len(name) < 7 || name[:6] != "X-Amz-" || len(values) == 0 {
			continue
		}
		if strings.HasPrefix(name, sseHeader) {
			if err := c.checkEncryptionHeader(name); err != nil {
				return err
			}
		}
		if (name == "X-Amz-Acl" || strings.HasPrefix(name, "X-Amz-Grant-")) && c.hasACLs() {
			continue // read with what they are for
		}
		if strings.HasPrefix(name, "X-Amz-Rename-") && c.route.Operation == "RenameObject" || name == writeOffsetHeader && c.route.Operation == "PutObject" {
			continue
		}
		if err := checkHeader(name, values[0]); err != nil {
			return err
		}
	}
	return nil
}

// refusedPrefixes begin families of headers without an implementation.
var refusedPrefixes = [...]string{
	"X-Amz-Rename-",
}

func checkHeader(name, value string) error {
	refused := func() error {
		return errNotImplemented.saying("A header you provided implies functionality that is not implemented").with("Header", name)
	}
	for _, p := range &refusedPrefixes {
		if strings.HasPrefix(name, p) {
			return refused()
		}
	}
	if strings.HasPrefix(name, "X-Amz-Grant-") {
		return errACLNotSupported
	}
	switch name {
	case "X-Amz-Website-Redirect-Location", writeOffsetHeader, "X-Amz-Mfa":
		return refused()
	case "X-Amz-Bucket-Object-Lock-Enabled":
		if !strings.EqualFold(value, "false") && !strings.EqualFold(value, "true") {
			return badArgument("x-amz-bucket-object-lock-enabled", value, "Invalid value")
		}
	case "X-Amz-Object-Ownership":
		if !validOwnership(value) {
			return badArgument("x-amz-object-ownership", value, "Invalid x-amz-object-ownership header: "+clip(value))
		}
	case "X-Amz-Acl":
		return checkACL(value)
	case "X-Amz-Storage-Class":
		return checkStorageClass(value, refused)
	}
	return nil
}

// checkACL accepts the canned ACLs that say what is the case anyway.
func checkACL(value string) error {
	switch value {
	case "private", "bucket-owner-full-control", "bucket-owner-read":
		return nil
	case "public-read", "public-read-write", "authenticated-read", "aws-exec-read", "log-delivery-write":
		return errACLNotSupported
	}
	return badArgument("x-amz-acl", value, "Invalid canned ACL")
}

func checkStorageClass(value string, refused func() error) error {
	switch value {
	case "STANDARD":
		return nil
	case "REDUCED_REDUNDANCY", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER", "DEEP_ARCHIVE", "OUTPOSTS",
		"GLACIER_IR", "SNOW", "EXPRESS_ONEZONE", "FSX_OPENZFS", "FSX_ONTAP":
		return refused()
	}
	return errInvalidStorageClass.with("StorageClassRequested", clip(value))
}

// objectHeaders reads what is stored with an object from a request.
func objectHeaders(h http.Header) (headers, meta map[string]string, err error) {
	for _, name := range &storedHeaders {
		v := h[name]
		if len(v) == 0 {
			continue
		}
		value := v[0]
		if name == "Content-Encoding" {
			value = sigv4.StripAWSChunked(strings.Join(v, ", "))
		}
		if value == "" {
			continue
		}
		if headers == nil {
			headers = make(map[string]string, 2)
		}
		headers[name] = value
	}
	size := 0
	for name, v := range h {
		if len(name) <= len(metaPrefix) || name[:len(metaPrefix)] != metaPrefix {
			continue
		}
		key, value := strings.ToLower(name[len(metaPrefix):]), decodeMeta(strings.Join(v, ","))
		if size += len(key) + len(value); size > metadata.MaxUserMeta {
			return nil, nil, errMetadataTooLarge.with("MaxSizeAllowed", itoa(metadata.MaxUserMeta))
		}
		if meta == nil {
			meta = make(map[string]string, 4)
		}
		meta[key] = value
	}
	return headers, meta, nil
}

// describable refuses what is more than the chunks of an object can say of it, before
// the client has sent it.
func describable(kept ...map[string]string) error {
	if store.Described(kept...) > store.MaxDescribed {
		return errMetadataTooLarge.with("MaxSizeAllowed", itoa(store.MaxDescribed))
	}
	return nil
}

// decodeMeta undoes RFC 2047, in which SDKs send what is not ASCII. A value that
// decodes to control characters stays as it was sent.
func decodeMeta(v string) string {
	if !strings.Contains(v, "=?") {
		return v
	}
	var dec mime.WordDecoder
	out, err := dec.DecodeHeader(v)
	if err != nil || strings.ContainsFunc(out, func(r rune) bool { return r < 0x20 || r == 0x7f }) {
		return v
	}
	return out
}

// encodeMeta makes a value fit for a header: RFC 2047 for what is not ASCII, as
// AWS returns it. Bytes that are no UTF-8 are taken for Latin-1.
func encodeMeta(v string) string {
	ascii := true
	for i := range len(v) {
		ascii = ascii && v[i] < utf8.RuneSelf
	}
	if ascii {
		return v
	}
	if !utf8.ValidString(v) {
		runes := make([]rune, len(v))
		for i := range len(v) {
			runes[i] = rune(v[i])
		}
		v = string(runes)
	}
	return mime.BEncoding.Encode("UTF-8", v)
}

// setObject puts the headers that describe a version, but for its length.
func (c *call) setObject(v *metadata.Version, versionID string) {
	header := c.w.Header()
	c.set("Etag", quoteETag(&v.MD5, v.PartCount))
	c.set("Last-Modified", httpTime(v.Modified))
	header["Accept-Ranges"] = acceptRanges
	if versionID != "" {
		c.set("X-Amz-Version-Id", versionID)
	}
	header["Content-Type"] = defaultContentType
	for name, value := range v.Headers {
		c.set(name, value)
	}
	for name, value := range v.UserMeta {
		c.set("x-amz-meta-"+name, encodeMeta(value))
	}
	if len(v.Tags) > 0 {
		c.set("X-Amz-Tagging-Count", itoa(len(v.Tags)))
	}
}

var acceptRanges = []string{"bytes"}

// setVersionID is for versions met without the id that S3 shows.
func (c *call) setVersionID(v *metadata.Version) {
	if v.Null {
		c.set("X-Amz-Version-Id", "null")
		return
	}
	c.set("X-Amz-Version-Id", v.ID.String())
}

// setDigest puts a stored checksum.
func (c *call) setDigest(d *metadata.Digest, parts int) {
	if !d.Algorithm.Valid() || len(d.Sum) == 0 {
		return
	}
	c.set(d.Algorithm.Header(), digestValue(d, parts))
	if t := d.Type.String(); t != "" {
		c.set("X-Amz-Checksum-Type", t)
	}
}

// overrides are the query parameters that replace headers of a response.
var overrides = [...]struct{ query, header string }{
	{"response-cache-control", "Cache-Control"},
	{"response-content-disposition", "Content-Disposition"},
	{"response-content-encoding", "Content-Encoding"},
	{"response-content-language", "Content-Language"},
	{"response-content-type", "Content-Type"},
	{"response-expires", "Expires"},
}

// override applies them; only signed requests may ask for it.
func (c *call) override() error {
	if len(c.query.pairs) == 0 {
		return nil
	}
	for _, o := range &overrides {
		v, ok := c.query.lookup(o.query)
		if !ok {
			continue
		}
		if c.who() == anonymous {
			return errInvalidRequest.saying("Request specific response headers cannot be used for anonymous GET requests.")
		}
		if !strings.ContainsAny(v, "\r\n\x00") {
			c.set(o.header, v)
		}
	}
	return nil
}

func httpTime(t time.Time) string {
	return t.UTC().Format(http.TimeFormat)
}

// attrs describes a request for the log, without what is secret.
func attrs(c *call, err error) []slog.Attr {
	op := ""
	if c.route != nil {
		op = c.route.Operation
	}
	return []slog.Attr{slog.String("request", c.id), slog.String("operation", op), slog.String("bucket", c.bucket),
		slog.String("key", c.key), slog.Any("error", err)}
}

func levelOf(e *Error) slog.Level {
	if e == nil || e.Status < http.StatusInternalServerError {
		return slog.LevelDebug
	}
	return slog.LevelError
}

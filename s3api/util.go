package s3api

import (
	"encoding/base64"
	"encoding/hex"
	"strconv"

	"github.com/weftstore/weft/internal/checksum"
	"github.com/weftstore/weft/metadata"
)

func itoa(n int) string { return strconv.Itoa(n) }

func itoa64(n int64) string { return strconv.FormatInt(n, 10) }

// isoLayout is how S3 writes times in documents.
const isoLayout = "2006-01-02T15:04:05.000Z"

// quoteETag returns the ETag header of an object: its MD5 in hexadecimal, "-N"
// for N parts, in quotes.
func quoteETag(sum *[16]byte, parts int) string {
	var buf [48]byte
	return string(appendETag(buf[:0], sum, parts))
}

func appendETag(b []byte, sum *[16]byte, parts int) []byte {
	return append(appendBareETag(append(b, '"'), sum, parts), '"')
}

func appendBareETag(b []byte, sum *[16]byte, parts int) []byte {
	b = hex.AppendEncode(b, sum[:])
	if parts > 0 {
		b = append(b, '-')
		b = strconv.AppendInt(b, int64(parts), 10)
	}
	return b
}

// digestValue is a checksum as S3 shows it: base64, "-N" for a COMPOSITE one of N
// parts.
func digestValue(d *metadata.Digest, parts int) string {
	var buf [128]byte
	b := base64.StdEncoding.AppendEncode(buf[:0], d.Sum)
	if d.Type == checksum.Composite && parts > 0 {
		b = append(b, '-')
		b = strconv.AppendInt(b, int64(parts), 10)
	}
	return string(b)
}

// checkVersionID refuses what is no version id: it would be "not found" in a
// store and is an error of the client's in S3.
func checkVersionID(s string) error {
	if s == "" || s == "null" {
		return nil
	}
	if _, err := metadata.ParseVersionID(s); err == nil {
		return nil
	}
	return badArgument("versionId", s, "Invalid version id specified")
}

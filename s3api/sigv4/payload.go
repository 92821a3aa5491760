package sigv4

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// PayloadMode is how x-amz-content-sha256 says that the body is protected. The zero value is no mode.
type PayloadMode uint8

// The payload modes of S3.
const (
	PayloadSigned                 PayloadMode = iota + 1 // the SHA-256 of the body, in hex
	PayloadUnsigned                                      // UNSIGNED-PAYLOAD
	PayloadChunkedSigned                                 // STREAMING-AWS4-HMAC-SHA256-PAYLOAD
	PayloadChunkedSignedTrailer                          // STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER
	PayloadChunkedUnsignedTrailer                        // STREAMING-UNSIGNED-PAYLOAD-TRAILER
)

// EmptySHA256 is the hash of an empty body, in hex.
const EmptySHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// String returns the value of x-amz-content-sha256, "SIGNED" for a mode whose value is a hash.
func (m PayloadMode) String() string {
	switch m {
	case PayloadSigned:
		return "SIGNED"
	case PayloadUnsigned:
		return "UNSIGNED-PAYLOAD"
	case PayloadChunkedSigned:
		return "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
	case PayloadChunkedSignedTrailer:
		return "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
	case PayloadChunkedUnsignedTrailer:
		return "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
	default:
		return ""
	}
}

// Chunked reports whether the body is framed as aws-chunked.
func (m PayloadMode) Chunked() bool { return m >= PayloadChunkedSigned }

func (m PayloadMode) chunksSigned() bool {
	return m == PayloadChunkedSigned || m == PayloadChunkedSignedTrailer
}

func (m PayloadMode) trailers() bool {
	return m == PayloadChunkedSignedTrailer || m == PayloadChunkedUnsignedTrailer
}

// parsePayload reads the value of x-amz-content-sha256.
func parsePayload(value string) (PayloadMode, [sha256.Size]byte, error) {
	var sum [sha256.Size]byte
	for m := PayloadUnsigned; m <= PayloadChunkedUnsignedTrailer; m++ {
		if value == m.String() {
			return m, sum, nil
		}
	}
	if strings.HasPrefix(value, "STREAMING-AWS4-ECDSA-") {
		return 0, sum, ErrNotImplemented
	}
	if len(value) == 2*sha256.Size {
		if _, err := hex.Decode(sum[:], []byte(value)); err == nil {
			return PayloadSigned, sum, nil
		}
	}
	return 0, sum, ErrInvalidArgument.saying("x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, "+
		"STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER, STREAMING-UNSIGNED-PAYLOAD-TRAILER or a valid sha256 value.").
		with(Field{"ArgumentName", "x-amz-content-sha256"}, Field{"ArgumentValue", clip(value)})
}

// StripAWSChunked removes the token aws-chunked, which describes the transfer and not the object, from a Content-Encoding. The rest
// keeps its order; it may be empty.
func StripAWSChunked(contentEncoding string) string {
	if !strings.Contains(contentEncoding, "aws-chunked") {
		return contentEncoding
	}
	var kept []string
	for token := range strings.SplitSeq(contentEncoding, ",") {
		if token = strings.TrimSpace(token); token != "" && token != "aws-chunked" {
			kept = append(kept, token)
		}
	}
	return strings.Join(kept, ", ")
}

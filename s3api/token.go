package s3api

import (
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
)

// Continuation tokens are opaque to clients: base64url of
//
//	version u8 = 1 | kind u8 | CRC32C u32 little-endian of kind and text | text
//
// where text is the key (or bucket) that the next page begins after. The CRC
// catches tokens that were cut or made up; it is no secret, since a token gives
// nothing that start-after would not.
const (
	tokenVersion = 1
	tokenHead    = 6

	tokenObjects byte = 'o'
	tokenBuckets byte = 'b'
)

func encodeToken(kind byte, after string) string {
	b := make([]byte, tokenHead, tokenHead+len(after))
	b[0], b[1] = tokenVersion, kind
	b = append(b, after...)
	binary.LittleEndian.PutUint32(b[2:], tokenSum(kind, b[tokenHead:]))
	return base64.RawURLEncoding.EncodeToString(b)
}

func decodeToken(kind byte, token string) (string, error) {
	bad := badArgument("continuation-token", token, "The continuation token provided is incorrect")
	if len(token) > 2048 {
		return "", bad
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(b) < tokenHead || b[0] != tokenVersion || b[1] != kind ||
		binary.LittleEndian.Uint32(b[2:]) != tokenSum(kind, b[tokenHead:]) {
		return "", bad
	}
	return string(b[tokenHead:]), nil
}

func tokenSum(kind byte, text []byte) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli)
	return crc32.Update(crc32.Checksum([]byte{kind}, table), table, text)
}

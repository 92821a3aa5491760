package s3api

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"strings"

	"github.com/weftstore/weft/store"
)

const (
	renamePrefix       = "X-Amz-Rename-Source-"
	renameSourceHeader = "X-Amz-Rename-Source"
	clientTokenHeader  = "X-Amz-Client-Token" //nolint:gosec // a header's name
	maxClientToken     = 64
)

// renameObject is RenameObject of S3 Express One Zone, here for every bucket that was never
// versioned.
func (c *call) renameObject() error {
	from, err := c.renameSource()
	if err != nil {
		return err
	}
	if strings.HasSuffix(from, "/") || strings.HasSuffix(c.key, "/") {
		return errInvalidRequest.saying("Objects whose names end with a slash cannot be renamed.")
	}
	if from == c.key {
		return errInvalidRequest.saying("The object has that name already.")
	}
	req := &store.RenameRequest{Bucket: c.bucket, From: from, To: c.key}
	if req.Source, err = datedCondition(c.r.Header, renamePrefix); err != nil {
		return err
	}
	if req.Dest, err = datedCondition(c.r.Header, ""); err != nil {
		return err
	}
	c.source.bind(&req.Source)
	c.judged.bind(&req.Dest)
	if req.Token = c.r.Header.Get(clientTokenHeader); !validToken(req.Token) {
		return badArgument("x-amz-client-token", req.Token, "A token has up to 64 characters from ! to ~.")
	}
	req.Params = renameParams(from, c.r.Header)
	if err := c.h.cfg.Objects.Rename(c.ctx, req); err != nil {
		return err
	}
	return c.done(http.StatusOK)
}

// renameSource is the key in x-amz-rename-source, "[/]bucket/key" or the key alone, escaped.
func (c *call) renameSource() (string, error) {
	header := c.r.Header.Get(renameSourceHeader)
	path, err := url.PathUnescape(header)
	if err != nil || path == "" {
		return "", badArgument("x-amz-rename-source", header, "Rename Source must name the object that is to be renamed: sourcebucket/sourcekey, or sourcekey")
	}
	key, inBucket := strings.CutPrefix(strings.TrimPrefix(path, "/"), c.bucket+"/")
	if !inBucket {
		if path[0] == '/' {
			return "", badArgument("x-amz-rename-source", header, "An object can be renamed only within its bucket.")
		}
		key = path
	}
	if key == "" {
		return "", badArgument("x-amz-rename-source", header, "Rename Source must name the object that is to be renamed: sourcebucket/sourcekey, or sourcekey")
	}
	return key, checkKey(key)
}

func validToken(s string) bool {
	return len(s) <= maxClientToken && !strings.ContainsFunc(s, func(r rune) bool { return r < '!' || r > '~' })
}

// renameParams tells apart what requests for one key ask for.
func renameParams(from string, h http.Header) string {
	sum := sha256.New()
	sum.Write([]byte(from))
	for _, prefix := range [...]string{"", renamePrefix} {
		for _, name := range [...]string{"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"} {
			sum.Write([]byte("\x00" + strings.Join(h[prefix+name], ",")))
		}
	}
	return hex.EncodeToString(sum.Sum(nil)[:16])
}

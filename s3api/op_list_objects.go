package s3api

import (
	"strings"
	"unicode/utf8"

	"github.com/weftstore/weft/metadata"
)

// listing is what the three listings of objects have in common.
type listing struct {
	metadata.ListQuery
	url bool // encoding-type=url
}

// readListing reads prefix, delimiter, max-keys and encoding-type.
func (c *call) readListing(limitName string) (listing, error) {
	var l listing
	var err error
	l.Prefix, l.Delimiter = c.query.get("prefix"), c.query.get("delimiter")
	for _, p := range [...]pair{{"prefix", l.Prefix}, {"delimiter", l.Delimiter}} {
		if err := checkMarker(p.name, p.value); err != nil {
			return l, err
		}
	}
	if l.Limit, err = c.intParameter(limitName, metadata.MaxListPage, 0, metadata.MaxListPage); err != nil {
		return l, err
	}
	switch v, ok := c.query.lookup("encoding-type"); {
	case v == "url":
		l.url = true
	case ok && v != "":
		return l, badArgument("encoding-type", v, "Invalid Encoding Method specified in Request")
	}
	return l, nil
}

// checkMarker refuses text that is no part of a key.
func checkMarker(name, value string) error {
	if len(value) > metadata.MaxKey {
		return errKeyTooLong.with("Size", itoa(len(value))).with("MaxSizeAllowed", itoa(metadata.MaxKey))
	}
	if strings.IndexByte(value, 0) >= 0 || !utf8.ValidString(value) {
		return badArgument(name, strings.ToValidUTF8(value, "\uFFFD"), "Argument "+name+" is not valid UTF-8 text")
	}
	return nil
}

// listObjects is ListObjects, the first version.
func (c *call) listObjects() error {
	if v, ok := c.query.lookup("list-type"); ok && v != "1" && v != "" {
		return badArgument("list-type", v, "Invalid List Type specified in Request")
	}
	l, err := c.readListing("max-keys")
	if err != nil {
		return err
	}
	l.After = c.query.get("marker")
	if err := checkMarker("marker", l.After); err != nil {
		return err
	}
	page, err := c.h.cfg.Listings.List(c.ctx, c.bucket, l.ListQuery)
	if err != nil {
		return err
	}
	d := newDoc("ListBucketResult", listSize(page))
	d.str("Name", c.bucket)
	d.key("Prefix", l.Prefix, l.url)
	d.key("Marker", l.After, l.url)
	if page.Truncated && l.Delimiter != "" {
		d.key("NextMarker", page.Next, l.url)
	}
	c.finishListing(d, &l, page, true)
	return c.sendDoc(d)
}

// listObjectsV2 is ListObjectsV2.
func (c *call) listObjectsV2() error {
	l, err := c.readListing("max-keys")
	if err != nil {
		return err
	}
	startAfter := c.query.get("start-after")
	if err := checkMarker("start-after", startAfter); err != nil {
		return err
	}
	l.After = startAfter
	token, given := c.query.lookup("continuation-token")
	if token != "" {
		if l.After, err = decodeToken(tokenObjects, token); err != nil {
			return err
		}
	}
	page, err := c.h.cfg.Listings.List(c.ctx, c.bucket, l.ListQuery)
	if err != nil {
		return err
	}
	d := newDoc("ListBucketResult", listSize(page))
	d.str("Name", c.bucket)
	d.key("Prefix", l.Prefix, l.url)
	if startAfter != "" {
		d.key("StartAfter", startAfter, l.url)
	}
	if given {
		d.str("ContinuationToken", token)
	}
	if page.Truncated {
		d.str("NextContinuationToken", encodeToken(tokenObjects, page.Next))
	}
	d.int("KeyCount", int64(len(page.Entries)))
	c.finishListing(d, &l, page, c.query.get("fetch-owner") == "true")
	return c.sendDoc(d)
}

// listSize is about what the entries of a page take.
func listSize(page *metadata.ListPage) int { return 1024 + 400*len(page.Entries) }

// head writes what every listing says of itself before its entries.
func (l *listing) head(d *doc, page *metadata.ListPage) {
	d.int("MaxKeys", int64(l.Limit))
	if l.Delimiter != "" {
		d.key("Delimiter", l.Delimiter, l.url)
	}
	if l.url {
		d.str("EncodingType", "url")
	}
	d.bool("IsTruncated", page.Truncated)
}

// finishListing writes what both versions share and closes the document.
func (c *call) finishListing(d *doc, l *listing, page *metadata.ListPage, owner bool) {
	l.head(d, page)
	for i := range page.Entries {
		e := &page.Entries[i]
		if e.CommonPrefix != "" {
			continue
		}
		d.raw("<Contents>")
		d.key("Key", e.Key, l.url)
		d.entry(e)
		if owner {
			d.owner("Owner", c.ownerID())
		}
		d.raw("<StorageClass>STANDARD</StorageClass></Contents>")
	}
	d.prefixes(page, l.url)
	d.close("ListBucketResult")
}

// entry writes what every listing says of an object.
func (d *doc) entry(e *metadata.ListEntry) {
	d.time("LastModified", e.Modified)
	d.etag(&e.MD5, e.PartCount)
	if e.Algorithm.Valid() {
		d.str("ChecksumAlgorithm", e.Algorithm.String())
		d.opt("ChecksumType", e.Type.String())
	}
	d.int("Size", e.Size)
}

func (d *doc) prefixes(page *metadata.ListPage, url bool) {
	for i := range page.Entries {
		if p := page.Entries[i].CommonPrefix; p != "" {
			d.open("CommonPrefixes")
			d.key("Prefix", p, url)
			d.close("CommonPrefixes")
		}
	}
}

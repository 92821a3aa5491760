package s3api

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/weftstore/weft/metadata"
)

const (
	maxObjectTags = metadata.MaxTags
	maxBucketTags = 50
	maxTagKey     = 128 // characters
	maxTagValue   = 256
)

// headerTags reads x-amz-tagging: pairs encoded like a query.
func headerTags(h http.Header) (map[string]string, error) {
	v := h["X-Amz-Tagging"]
	if len(v) == 0 || v[0] == "" {
		return nil, nil
	}
	tags := map[string]string{}
	for one := range strings.SplitSeq(v[0], "&") {
		if one == "" {
			continue
		}
		name, value, _ := strings.Cut(one, "=")
		name, err1 := url.QueryUnescape(name)
		value, err2 := url.QueryUnescape(value)
		if err1 != nil || err2 != nil {
			return nil, badArgument("x-amz-tagging", v[0], "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.")
		}
		if err := addTag(tags, name, value, maxObjectTags); err != nil {
			return nil, err
		}
	}
	return tags, nil
}

// documentTags reads a Tagging document.
func documentTags(data []byte, limit int) (map[string]string, error) {
	root, err := parseXML(data, "Tagging", 4*maxBucketTags+8)
	if err != nil {
		return nil, err
	}
	set := root.child("TagSet")
	if set == nil {
		return nil, errMalformedXML
	}
	tags := make(map[string]string, len(set.children))
	for i := range set.children {
		tag := &set.children[i]
		key, value := tag.child("Key"), tag.child("Value")
		if tag.name != "Tag" || key == nil || value == nil {
			return nil, errMalformedXML
		}
		if err := addTag(tags, key.text, value.text, limit); err != nil {
			return nil, err
		}
	}
	return tags, nil
}

func addTag(tags map[string]string, key, value string, limit int) error {
	switch {
	case key == "" || utf8.RuneCountInString(key) > maxTagKey || !validTag(key):
		return errInvalidTag.saying("The TagKey you have provided is invalid").with("TagKey", clip(key))
	case utf8.RuneCountInString(value) > maxTagValue || !validTag(value):
		return errInvalidTag.saying("The TagValue you have provided is invalid").with("TagKey", clip(key)).with("TagValue", clip(value))
	case strings.HasPrefix(strings.ToLower(key), "aws:"):
		return errInvalidTag.saying("System tags cannot be added/updated by requester").with("TagKey", clip(key))
	}
	if _, twice := tags[key]; twice {
		return errInvalidTag.saying("Cannot provide multiple Tags with the same key").with("TagKey", clip(key))
	}
	if len(tags) == limit {
		return errInvalidTag.saying("Tags cannot be more than " + itoa(limit))
	}
	tags[key] = value
	return nil
}

// validTag accepts letters, numbers, spaces and + - = . _ : / @ (Amazon S3 User
// Guide, "Categorizing your objects using tags").
func validTag(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if !unicode.IsLetter(r) && !unicode.IsNumber(r) && !unicode.Is(unicode.Z, r) && !unicode.Is(unicode.M, r) &&
			!strings.ContainsRune("+-=._:/@", r) {
			return false
		}
	}
	return true
}

// tagDocument writes a Tagging document, keys in order.
func tagDocument(tags map[string]string) *doc {
	d := newDoc("Tagging", 256)
	d.open("TagSet")
	keys := make([]string, 0, len(tags))
	for k := range tags {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		d.open("Tag")
		d.str("Key", k)
		d.str("Value", tags[k])
		d.close("Tag")
	}
	d.close("TagSet")
	d.close("Tagging")
	return d
}

package s3load

import (
	"bytes"
	"encoding/xml"
	"html"
	"iter"
)

// The answers this tool reads are large (listings) and their shape is known, so they are scanned, not
// parsed: text between the first <name> and the next </name>.

// element returns the text of the first element with that name and no attributes.
func element(b []byte, name string) ([]byte, bool) {
	_, rest, ok := bytes.Cut(b, []byte("<"+name+">"))
	if !ok {
		return nil, false
	}
	text, _, ok := bytes.Cut(rest, []byte("</"+name+">"))
	return text, ok
}

// unescape resolves the entities of XML text.
func unescape(text []byte) string { return html.UnescapeString(string(text)) }

var keyOpen, keyClose = []byte("<Key>"), []byte("</Key>")

// eachKey yields the keys of a listing in the order they stand there, entities unresolved, as slices of b.
func eachKey(b []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for {
			_, rest, ok := bytes.Cut(b, keyOpen)
			if !ok {
				return
			}
			key, after, ok := bytes.Cut(rest, keyClose)
			if !ok || !yield(key) {
				return
			}
			b = after
		}
	}
}

func countKeys(b []byte) int { return bytes.Count(b, keyOpen) }

// listed is what the preparation needs of a listing; it is parsed properly, speed is no matter there.
type listed struct {
	Contents []struct {
		Key  string
		Size int64
	}
}

func parseListing(b []byte) (listed, error) {
	var l listed
	err := xml.Unmarshal(b, &l)
	return l, err
}

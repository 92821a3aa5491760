package iamapi

import (
	"encoding/xml"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	iamSpace = "https://iam.amazonaws.com/doc/2010-05-08/"
	stsSpace = "https://sts.amazonaws.com/doc/2011-06-15/"
)

// list is how the query protocol writes one.
type list[T any] struct {
	Member []T `xml:"member"`
}

// page ends a listing that may be longer.
type page struct {
	IsTruncated bool
	Marker      string `xml:",omitempty"`
}

type tag struct{ Key, Value string }

// none is the result of an action without one.
type none struct{}

// answer sends a result in the frame of its action.
func (q *query) answer(w http.ResponseWriter, name string, result any) int {
	space := iamSpace
	if actions[name].service == "sts" {
		space = stsSpace
	}
	var b strings.Builder
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` + "\n<" + name + `Response xmlns="` + space + `">`)
	if _, ok := result.(none); !ok {
		enc := xml.NewEncoder(&b)
		if err := enc.EncodeElement(result, xml.StartElement{Name: xml.Name{Local: name + "Result"}}); err != nil {
			q.h.cfg.Logger.Error("encode", "op", name, "err", err)
			return q.fail(w, errInternal)
		}
	}
	b.WriteString("<ResponseMetadata><RequestId>" + q.id + "</RequestId></ResponseMetadata></" + name + "Response>\n")
	return send(w, http.StatusOK, b.String())
}

// fail sends an error.
func (q *query) fail(w http.ResponseWriter, e *Error) int {
	kind := "Sender"
	if e.Status >= http.StatusInternalServerError {
		kind = "Receiver"
		w.Header().Set("Retry-After", "1")
	}
	var b strings.Builder
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<ErrorResponse xmlns="` + iamSpace + `"><Error><Type>` + kind + "</Type><Code>" + e.Code + "</Code><Message>")
	_ = xml.EscapeText(&b, []byte(e.Message))
	b.WriteString("</Message></Error><RequestId>" + q.id + "</RequestId></ErrorResponse>\n")
	return send(w, e.Status, b.String())
}

func send(w http.ResponseWriter, status int, body string) int {
	w.Header().Set("Content-Type", "text/xml")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(bodyWithin)) // it has a place until then; writers of tests have none
	w.WriteHeader(status)
	n, _ := w.Write([]byte(body)) // a client that left needs no answer
	return n
}

// when is a time as AWS writes it.
func when(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// document is a policy as AWS writes one: percent-encoded (RFC 3986).
func document(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

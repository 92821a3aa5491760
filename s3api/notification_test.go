package s3api

import (
	"errors"
	"strings"
	"testing"

	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/notify"
)

// oneDestination knows arn:weft:notify:::hook.
type oneDestination struct{}

func (oneDestination) Check(arn string) error {
	if arn != notify.ARN("hook") {
		return notify.ErrUnknown
	}
	return nil
}

func TestBucketNotification(t *testing.T) {
	e := newEnv(t, func(c *Config) { c.Notify = oneDestination{} })
	e.ok("PUT", "/bucket", "")
	rule := func(kind, arn, event, filter string) string {
		return "<NotificationConfiguration><" + kind + "Configuration><" + kind + ">" + arn + "</" + kind + "><Event>" + event + "</Event>" + filter +
			"</" + kind + "Configuration></NotificationConfiguration>"
	}
	filter := func(name, value string) string {
		return "<Filter><S3Key><FilterRule><Name>" + name + "</Name><Value>" + value + "</Value></FilterRule></S3Key></Filter>"
	}
	hook := notify.ARN("hook")
	if got := e.ok("GET", "/bucket?notification", "").Body.String(); strings.Contains(got, "Event") {
		t.Errorf("without a configuration: %s", got)
	}
	for _, kind := range []string{"Queue", "Topic", "CloudFunction"} {
		e.ok("PUT", "/bucket?notification", rule(kind, hook, "s3:ObjectCreated:*", filter("suffix", ".jpg")))
		w := e.ok("GET", "/bucket?notification", "")
		if got := elements(w, kind); len(got) != 1 || got[0] != hook || elements(w, "Value")[0] != ".jpg" || elements(w, "Id")[0] == "" || elements(w, "Event")[0] != "s3:ObjectCreated:*" {
			t.Errorf("%s", w.Body)
		}
	}
	bad := func(code, doc string) { t.Helper(); e.want(400, code, "PUT", "/bucket?notification", doc) }
	bad("InvalidArgument", rule("Queue", "arn:aws:sqs:us-east-1:1:q", "s3:ObjectCreated:*", ""))
	bad("InvalidArgument", rule("Queue", hook, "s3:ObjectDreamed:*", ""))
	bad("InvalidArgument", rule("Queue", hook, "s3:ObjectCreated:*", filter("infix", "x")))
	bad("MalformedXML", rule("Pigeon", hook, "s3:ObjectCreated:*", ""))
	bad("MalformedXML", "<NotificationConfiguration>")
	e.want(501, "NotImplemented", "PUT", "/bucket?notification", "<NotificationConfiguration><EventBridgeConfiguration/></NotificationConfiguration>")
	e.ok("PUT", "/bucket?notification", "<NotificationConfiguration/>")
	if got := e.ok("GET", "/bucket?notification", "").Body.String(); strings.Contains(got, "Event") {
		t.Errorf("it was not removed: %s", got)
	}
}

// TestOriginOfForm: the change is that of who signed the form.
func TestOriginOfForm(t *testing.T) {
	e := postEnv(t)
	e.h.cfg.Notify = oneDestination{}
	var who string
	e.db.SetOutbox(func(c metadata.Change) ([]metadata.Note, error) {
		who = c.Origin.(*notify.Origin).Principal
		return nil, nil
	})
	if w := e.post(postForm(signed(`{"bucket":"bucket"},{"key":"k"}`, "key", "k")...)); w.Code != 204 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if who != RootAccount {
		t.Errorf("principal %q", who)
	}
}

// TestOriginOfChanges: the outbox sees who made a change, and when it has no room the
// client is told to slow down and nothing changed.
func TestOriginOfChanges(t *testing.T) {
	e := newEnv(t, func(c *Config) { c.Notify = oneDestination{} })
	var seen []string
	var full error
	e.db.SetOutbox(func(c metadata.Change) ([]metadata.Note, error) {
		o, ok := c.Origin.(*notify.Origin)
		if !ok || o.RequestID == "" || o.SourceIP != "192.0.2.1" {
			t.Errorf("origin %+v", c.Origin)
			return nil, nil
		}
		seen = append(seen, o.Operation+" "+c.Version.Key)
		return nil, full
	})
	e.ok("PUT", "/bucket", "")
	e.ok("PUT", "/bucket/a", "x")
	e.ok("PUT", "/bucket/b", "", copySourceHeader+": /bucket/a")
	e.ok("DELETE", "/bucket/a", "")
	if got := strings.Join(seen, ", "); got != "PutObject a, CopyObject b, DeleteObject a" {
		t.Errorf("changes: %s", got)
	}
	full = errors.Join(metadata.ErrOutboxFull)
	e.want(503, "SlowDown", "PUT", "/bucket/c", "x")
	e.want(404, "NoSuchKey", "GET", "/bucket/c", "")
}

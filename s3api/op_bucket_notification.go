package s3api

import (
	"net"
	"net/http"
	"strings"

	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/notify"
)

// Notifications says which destinations of events there are; *notify.Notifier does.
type Notifications interface {
	// Check fails for an ARN that names none.
	Check(arn string) error
}

// maxNotificationRules is S3's limit.
const maxNotificationRules = 100

// withOrigin tells the metadata who makes changes, for the events that follow from them.
func (c *call) withOrigin() {
	if c.h.cfg.Notify == nil || c.r.Method == http.MethodGet || c.r.Method == http.MethodHead {
		return
	}
	host, _, err := net.SplitHostPort(c.r.RemoteAddr)
	if err != nil {
		host = c.r.RemoteAddr
	}
	c.ctx = metadata.WithOrigin(c.ctx, &notify.Origin{Operation: c.route.Operation, RequestID: c.id, HostID: c.h.cfg.HostID,
		SourceIP: host, Principal: c.who().ID, Region: c.h.cfg.Region})
}

// getBucketNotification is GetBucketNotificationConfiguration; a bucket without one has
// an empty one.
func (c *call) getBucketNotification() error {
	b, err := c.h.cfg.Buckets.Bucket(c.ctx, c.bucket)
	if err != nil {
		return err
	}
	cfg := new(notify.Config)
	if text := b.Configs[notify.ConfigName]; text != "" {
		if cfg, err = notify.Decode(text); err != nil {
			return err
		}
	}
	const root = "NotificationConfiguration"
	d := newDoc(root, 512)
	for i := range cfg.Rules {
		r := &cfg.Rules[i]
		d.open(r.Kind + "Configuration")
		d.str("Id", r.ID)
		d.str(r.Kind, r.ARN)
		for _, e := range r.Events {
			d.str("Event", e)
		}
		if r.Prefix != "" || r.Suffix != "" {
			d.open("Filter")
			d.open("S3Key")
			for _, f := range [][2]string{{"Prefix", r.Prefix}, {"Suffix", r.Suffix}} {
				if f[1] != "" {
					d.open("FilterRule")
					d.str("Name", f[0])
					d.str("Value", f[1])
					d.close("FilterRule")
				}
			}
			d.close("S3Key")
			d.close("Filter")
		}
		d.close(r.Kind + "Configuration")
	}
	d.close(root)
	return c.sendDoc(d)
}

// putBucketNotification is PutBucketNotificationConfiguration; an empty one removes all.
func (c *call) putBucketNotification() error {
	data, err := c.readDocument(maxDocument, false)
	if err != nil {
		return err
	}
	cfg, err := c.decodeNotification(data)
	if err != nil {
		return err
	}
	text := ""
	if len(cfg.Rules) > 0 {
		text = cfg.Encode()
	}
	return c.storeConfig(notify.ConfigName, text, http.StatusOK)
}

func (c *call) decodeNotification(data []byte) (*notify.Config, error) {
	root, err := parseXML(data, "NotificationConfiguration", 32*maxNotificationRules)
	if err != nil {
		return nil, err
	}
	if len(root.children) > maxNotificationRules {
		return nil, errMalformedXML
	}
	cfg := new(notify.Config)
	ids := map[string]bool{}
	for i := range root.children {
		e := &root.children[i]
		kind, ok := strings.CutSuffix(e.name, "Configuration")
		if e.name == "EventBridgeConfiguration" {
			return nil, errNotImplemented.saying("EventBridge is not here; configure a queue, topic or function with the ARN of a destination.")
		}
		if !ok || kind != "Queue" && kind != "Topic" && kind != "CloudFunction" {
			return nil, errMalformedXML
		}
		r, err := c.decodeNotificationRule(kind, e)
		if err != nil {
			return nil, err
		}
		if r.ID == "" {
			r.ID = c.id + "-" + itoa(i)
		}
		if ids[r.ID] {
			return nil, errInvalidArgument.saying("Same ID used for multiple configurations. IDs must be unique")
		}
		ids[r.ID] = true
		cfg.Rules = append(cfg.Rules, r)
	}
	return cfg, nil
}

func (c *call) decodeNotificationRule(kind string, e *element) (notify.Rule, error) {
	r := notify.Rule{ID: e.value("Id"), Kind: kind, ARN: e.value(kind)}
	for i := range e.children {
		if e.children[i].name != "Event" {
			continue
		}
		name := strings.TrimSpace(e.children[i].text)
		if !notify.KnownEvent(name) {
			return r, badArgument("Event", name, "The event is not supported for notifications")
		}
		r.Events = append(r.Events, name)
	}
	if len(r.Events) == 0 || len(r.ID) > 255 {
		return r, errMalformedXML
	}
	if c.h.cfg.Notify == nil || c.h.cfg.Notify.Check(r.ARN) != nil {
		return r, badArgument(kind, r.ARN, "Unable to validate the following destination configurations")
	}
	filter := e.child("Filter")
	if filter == nil {
		return r, nil
	}
	key := filter.child("S3Key")
	if key == nil {
		return r, nil
	}
	for i := range key.children {
		f := &key.children[i]
		into := map[string]*string{"prefix": &r.Prefix, "suffix": &r.Suffix}[strings.ToLower(f.value("Name"))]
		if into == nil || f.child("Value") == nil {
			return r, errInvalidArgument.saying("filter rule name must be either prefix or suffix")
		}
		if *into != "" {
			return r, errInvalidArgument.saying("Cannot specify more than one prefix or suffix rule in a filter.")
		}
		*into = f.child("Value").text
	}
	return r, nil
}

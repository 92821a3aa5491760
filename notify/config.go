package notify

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ConfigName is the name of a bucket's configuration.
const ConfigName = "notification"

// arnPrefix begins the ARNs of destinations; the name follows.
const arnPrefix = "arn:weft:notify:::"

// ARN is what clients call a destination.
func ARN(name string) string { return arnPrefix + name }

// Config is a bucket's NotificationConfiguration.
type Config struct {
	Rules []Rule `json:"rules"`
}

// Rule sends some events to a destination.
type Rule struct {
	ID     string   `json:"id"`
	Kind   string   `json:"kind"` // Queue, Topic or CloudFunction: what the client called it
	ARN    string   `json:"arn"`
	Events []string `json:"events"`
	Prefix string   `json:"prefix,omitempty"`
	Suffix string   `json:"suffix,omitempty"`
}

// events are those that happen here, without "s3:".
var events = []string{
	"ObjectCreated:Put", "ObjectCreated:Post", "ObjectCreated:Copy", "ObjectCreated:CompleteMultipartUpload",
	"ObjectRemoved:Delete", "ObjectRemoved:DeleteMarkerCreated", "ObjectTagging:Put", "ObjectTagging:Delete",
	"LifecycleExpiration:Delete", "LifecycleExpiration:DeleteMarkerCreated",
}

// KnownEvent reports whether rules may name it, such as s3:ObjectCreated:Put or
// s3:ObjectCreated:*.
func KnownEvent(name string) bool {
	name, ok := strings.CutPrefix(name, "s3:")
	return ok && slices.ContainsFunc(events, func(e string) bool { return matchEvent(name, e) })
}

func matchEvent(pattern, event string) bool {
	family, all := strings.CutSuffix(pattern, ":*")
	return pattern == event || all && strings.HasPrefix(event, family+":")
}

// wants reports whether the rule is about an event of a key.
func (r *Rule) wants(event, key string) bool {
	return strings.HasPrefix(key, r.Prefix) && strings.HasSuffix(key, r.Suffix) && len(key) >= max(len(r.Prefix), len(r.Suffix)) &&
		slices.ContainsFunc(r.Events, func(e string) bool { return matchEvent(strings.TrimPrefix(e, "s3:"), event) })
}

// Encode is the configuration as the bucket keeps it.
func (c *Config) Encode() string {
	b, err := json.Marshal(c)
	if err != nil {
		panic(err) // strings always encode
	}
	return string(b)
}

// Decode reads what Encode wrote.
func Decode(text string) (*Config, error) {
	c := new(Config)
	if err := json.Unmarshal([]byte(text), c); err != nil {
		return nil, fmt.Errorf("notification configuration: %w", err)
	}
	return c, nil
}

// ErrUnknown is for destinations that the server's configuration does not have.
var ErrUnknown = errors.New("no such destination")

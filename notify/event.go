package notify

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/weftstore/weft/metadata"
)

// Origin is the request that makes a change; it goes with the context
// (metadata.WithOrigin).
type Origin struct {
	Operation         string
	RequestID, HostID string
	SourceIP          string
	Principal         string // id of who asks
	Region            string
}

// Lifecycle is the Operation of what lifecycle rules do.
const Lifecycle = "Lifecycle"

// eventName is that of a change, without "s3:".
func eventName(c *metadata.Change, o *Origin) string {
	removed := "ObjectRemoved:"
	if o.Operation == Lifecycle {
		removed = "LifecycleExpiration:"
	}
	switch c.Kind {
	case metadata.ChangePut:
		switch o.Operation {
		case "CopyObject":
			return "ObjectCreated:Copy"
		case "PostObject":
			return "ObjectCreated:Post"
		}
		return "ObjectCreated:Put"
	case metadata.ChangeCompleted:
		return "ObjectCreated:CompleteMultipartUpload"
	case metadata.ChangeMarked:
		return removed + "DeleteMarkerCreated"
	case metadata.ChangeTagged:
		if len(c.Version.Tags) == 0 {
			return "ObjectTagging:Delete"
		}
		return "ObjectTagging:Put"
	}
	return removed + "Delete"
}

// The document that S3 sends (User Guide, "Event message structure").
type message struct {
	Records []record
}

type record struct {
	EventVersion      string            `json:"eventVersion"`
	EventSource       string            `json:"eventSource"`
	AWSRegion         string            `json:"awsRegion"`
	EventTime         string            `json:"eventTime"`
	EventName         string            `json:"eventName"`
	UserIdentity      identity          `json:"userIdentity"`
	RequestParameters map[string]string `json:"requestParameters"`
	ResponseElements  map[string]string `json:"responseElements"`
	S3                struct {
		SchemaVersion   string `json:"s3SchemaVersion"`
		ConfigurationID string `json:"configurationId"`
		Bucket          struct {
			Name          string   `json:"name"`
			OwnerIdentity identity `json:"ownerIdentity"`
			ARN           string   `json:"arn"`
		} `json:"bucket"`
		Object struct {
			Key       string `json:"key"`
			Size      *int64 `json:"size,omitempty"`
			ETag      string `json:"eTag,omitempty"`
			VersionID string `json:"versionId,omitempty"`
			Sequencer string `json:"sequencer"`
		} `json:"object"`
	} `json:"s3"`
}

type identity struct {
	PrincipalID string `json:"principalId"`
}

// encode is the event for one rule.
func encode(c *metadata.Change, o *Origin, name, rule string, now time.Time) ([]byte, error) {
	r := record{EventVersion: "2.3", EventSource: "aws:s3", AWSRegion: o.Region, EventTime: now.UTC().Format("2006-01-02T15:04:05.000Z"),
		EventName: name, UserIdentity: identity{o.Principal},
		RequestParameters: map[string]string{"sourceIPAddress": o.SourceIP},
		ResponseElements:  map[string]string{"x-amz-request-id": o.RequestID, "x-amz-id-2": o.HostID}}
	r.S3.SchemaVersion, r.S3.ConfigurationID = "1.0", rule
	r.S3.Bucket.Name, r.S3.Bucket.ARN = c.Bucket.Name, "arn:aws:s3:::"+c.Bucket.Name
	r.S3.Bucket.OwnerIdentity.PrincipalID = c.Bucket.Owner
	v := c.Version
	// As in a form: S3's receivers decode it so.
	r.S3.Object.Key = strings.ReplaceAll(url.QueryEscape(v.Key), "%2F", "/")
	if strings.HasPrefix(name, "ObjectCreated:") {
		r.S3.Object.Size = &v.Size
	}
	if !v.DeleteMarker && !strings.HasSuffix(name, ":Delete") || strings.HasPrefix(name, "ObjectTagging:") {
		r.S3.Object.ETag = v.ETag()
	}
	switch {
	case v.Null && c.Bucket.Versioning != metadata.Unversioned:
		r.S3.Object.VersionID = "null"
	case !v.Null:
		r.S3.Object.VersionID = v.ID.String()
	}
	r.S3.Object.Sequencer = fmt.Sprintf("%016X", c.Seq)
	return json.Marshal(message{Records: []record{r}})
}

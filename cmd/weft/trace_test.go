package main

import (
	"bytes"
	"compress/gzip"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// sink is a collector of traces.
type sink struct {
	*httptest.Server
	mu    sync.Mutex
	raw   bytes.Buffer // all that was sent
	spans []sunk
}

// sunk is a span and whose it is.
type sunk struct {
	*otlp.Span
	service string
}

func newSink(t *testing.T) *sink {
	s := &sink{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var req collector.ExportTraceServiceRequest
		body, err := gzip.NewReader(r.Body)
		if err != nil {
			t.Error(err)
			return
		}
		p, err := io.ReadAll(body)
		if err != nil || proto.Unmarshal(p, &req) != nil {
			t.Errorf("not an export request: %v", err)
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.raw.Write(p)
		for _, rs := range req.ResourceSpans {
			service := ""
			for _, a := range rs.Resource.Attributes {
				if a.Key == "service.name" {
					service = a.Value.GetStringValue()
				}
			}
			for _, ss := range rs.ScopeSpans {
				for _, span := range ss.Spans {
					s.spans = append(s.spans, sunk{span, service})
				}
			}
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// paths of the trace of an S3 operation: each span with those above it. "" when the root
// has not come yet, or a parent has not.
func (s *sink) paths(operation string) (all map[string]int, root sunk) {
	s.mu.Lock()
	defer s.mu.Unlock()
	byID := map[string]sunk{}
	for _, span := range s.spans {
		byID[string(span.SpanId)] = span
		if span.Name == "S3."+operation {
			root = span
		}
	}
	all = map[string]int{}
	if root.Span == nil {
		return all, root
	}
	for _, span := range s.spans {
		if !bytes.Equal(span.TraceId, root.TraceId) {
			continue
		}
		path := strings.TrimPrefix(span.service, "weft-") + ":" + span.Name
		for up, ok := byID[string(span.ParentSpanId)]; ok; up, ok = byID[string(up.ParentSpanId)] {
			path = up.Name + "/" + path
		}
		all[path]++
	}
	return all, root
}

func attribute(s sunk, key string) any {
	for _, a := range s.Attributes {
		if a.Key == key {
			if a.Value.GetStringValue() != "" {
				return a.Value.GetStringValue()
			}
			return a.Value.GetIntValue()
		}
	}
	return nil
}

// TestTraces: one trace has what the gateway and the nodes did for a request, and no
// secret is in it.
func TestTraces(t *testing.T) {
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "20") // ms
	s := newSink(t)
	c := startProcessesWith(t, []string{"--trace-endpoint", s.URL}, `transport = "auto"`, `transport = "tcp"`)
	if err := c.client.MakeBucket(t.Context(), "bkt", minio.MakeBucketOptions{}); err != nil {
		t.Fatal(err)
	}
	data := objects(3 << 20)["o/0-3145728"]
	const key, meta = "object-key-unseen", "metadata-unseen"
	foreign := []byte("a client's trace") // an id of 16 bytes, which nobody said to follow
	if _, err := c.client.PutObject(t.Context(), "bkt", key, newReader(data), int64(len(data)),
		minio.PutObjectOptions{DisableMultipart: true, UserMetadata: map[string]string{"Note": meta}}); err != nil {
		t.Fatal(err)
	}
	opts := minio.GetObjectOptions{}
	opts.Set("Traceparent", "00-"+hex.EncodeToString(foreign)+"-b7ad6b7169203331-01")
	o, err := c.client.GetObject(t.Context(), "bkt", key, opts)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	if got, err := io.ReadAll(o); err != nil || !bytes.Equal(got, data) {
		t.Fatalf("get: %d bytes, %v", len(got), err)
	}
	presigned, err := c.client.PresignedGetObject(t.Context(), "bkt", key, time.Hour, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.Get(presigned.String())
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("presigned: %v", err)
	}
	res.Body.Close()

	for operation, want := range map[string][]string{
		"PutObject": {
			"gateway:S3.PutObject", "S3.PutObject/gateway:store.put", "S3.PutObject/gateway:metadata.commit",
			"S3.PutObject/store.put/gateway:store.stripe", "S3.PutObject/store.put/gateway:store.commit",
			"S3.PutObject/store.put/gateway:node.create", "S3.PutObject/store.put/node.create/node:node.create",
			"S3.PutObject/store.put/gateway:node.write", "S3.PutObject/store.put/node.write/node:node.write",
			"S3.PutObject/store.put/node.write/node.write/node:pull", "S3.PutObject/store.put/node.write/node.write/node:write",
			"S3.PutObject/store.put/node.commit/node.commit/node:fsync",
		},
		"GetObject": {
			"gateway:S3.GetObject", "S3.GetObject/gateway:metadata.get", "S3.GetObject/gateway:store.fetch",
			"S3.GetObject/store.fetch/gateway:node.read", "S3.GetObject/store.fetch/node.read/node.read/node:read",
			"S3.GetObject/store.fetch/node.read/node.read/node:push",
		},
	} {
		until(t, "the trace of "+operation+" is whole", func() bool {
			got, _ := s.paths(operation)
			return !slices.ContainsFunc(want, func(path string) bool { return got[path] == 0 })
		})
		got, root := s.paths(operation)
		if n := got["S3.PutObject/store.put/node.commit/node.commit/node:fsync"]; operation == "PutObject" && n != 3 {
			t.Errorf("%d nodes synced, of 3: %v", n, got)
		}
		if attribute(root, "aws.s3.bucket") != "bkt" || attribute(root, "http.response.status_code") != int64(http.StatusOK) || attribute(root, "aws.request_id") == nil {
			t.Errorf("%s has the attributes %v", operation, root.Attributes)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	query := presigned.Query()
	for _, secret := range []string{"rootsecret", query.Get("X-Amz-Signature"), key, meta, string(foreign), "X-Amz-"} {
		if secret == "" || bytes.Contains(s.raw.Bytes(), []byte(secret)) {
			t.Errorf("%q was sent to the collector", secret)
		}
	}
}

// TestTracesServer: one process makes the same trace.
func TestTracesServer(t *testing.T) {
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "20") // ms
	s := newSink(t)
	dir, addr := t.TempDir(), freePorts(t, 1)[0]
	config := filepath.Join(dir, "weft.toml")
	if err := os.WriteFile(config, []byte("trace-endpoint = \""+s.URL+"\"\ntrace-ratio = 1.0\ntrace-clients = true\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, "server", "--config", config, "--state", filepath.Join(dir, "state"), "--address", addr, "--memory", "64MiB", filepath.Join(dir, "t"))
	client, err := minio.New(addr, &minio.Options{Creds: credentials.NewStaticV4("root", "rootsecret", ""), Region: "us-east-1"})
	if err != nil {
		t.Fatal(err)
	}
	until(t, "the server takes a bucket", func() bool { return client.MakeBucket(t.Context(), "bkt", minio.MakeBucketOptions{}) == nil })
	const id = "0af7651916cd43dd8448eb211c80319c"
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+"/bkt/absent", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Traceparent", "00-"+id+"-b7ad6b7169203331-01")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if _, err := client.PutObject(t.Context(), "bkt", "k", strings.NewReader("hello"), 5, minio.PutObjectOptions{}); err != nil {
		t.Fatal(err)
	}
	const path = "S3.PutObject/store.put/node.append/node.append/write/server:fsync"
	until(t, "the trace of the put is whole", func() bool {
		got, _ := s.paths("PutObject")
		return got[path] == 1
	})
	until(t, "the refused get is traced", func() bool {
		_, root := s.paths("GetObject")
		return root.Span != nil
	})
	if _, root := s.paths("GetObject"); hex.EncodeToString(root.TraceId) != id || attribute(root, "error.type") != "AccessDenied" || attribute(root, "http.response.status_code") != int64(http.StatusForbidden) {
		t.Errorf("trace %x of the client %s: %v", root.TraceId, id, root.Attributes)
	}
}

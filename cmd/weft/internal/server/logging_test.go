package server

import (
	"io"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"
)

// TestAccessLogsAtStop: what waits for delivery when the server stops is there when it is
// back.
func TestAccessLogsAtStop(t *testing.T) {
	cfg := testConfig(t, 1)
	r := start(t, cfg, nil)
	r.makeBucket()
	if err := r.cl.MakeBucket(t.Context(), "logs", minio.MakeBucketOptions{}); err != nil {
		t.Fatal(err)
	}
	const policy = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"logging.s3.amazonaws.com"},"Action":"s3:PutObject","Resource":"arn:aws:s3:::logs/*"}]}`
	if err := r.cl.SetBucketPolicy(t.Context(), "logs", policy); err != nil {
		t.Fatal(err)
	}
	if err := r.meta.DB.SetBucketConfig(t.Context(), testBucket, "logging", `{"target":"logs"}`); err != nil {
		t.Fatal(err)
	}
	r.stop()
	r = start(t, cfg, nil)
	if err := r.put(object{key: "seen", n: 5}); err != nil {
		t.Fatal(err)
	}
	r.stop()
	r = start(t, cfg, nil)
	var lines strings.Builder
	for o := range r.cl.ListObjects(t.Context(), "logs", minio.ListObjectsOptions{}) {
		body, err := r.cl.GetObject(t.Context(), "logs", o.Key, minio.GetObjectOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(&lines, body); err != nil {
			t.Error(err)
		}
		body.Close()
	}
	if !strings.Contains(lines.String(), " REST.PUT.OBJECT seen ") {
		t.Errorf("logs: %q", lines.String())
	}
}

package miniogo

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

const mib = 1 << 20

// connect returns a client for the server under test; every name under localhost resolves to the loopback address.
func connect(t *testing.T, lookup minio.BucketLookupType) *minio.Client {
	t.Helper()
	endpoint := os.Getenv("WEFT_ENDPOINT")
	if endpoint == "" {
		t.Skip("WEFT_ENDPOINT is not set; scripts/clients/run minio-go starts a server and sets it")
	}
	u, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	host := u.Host
	if lookup == minio.BucketLookupDNS {
		domain := os.Getenv("WEFT_DOMAIN")
		if domain == "" {
			t.Skip("WEFT_DOMAIN is not set: the server has no virtual-hosted style")
		}
		host = domain + ":" + u.Port()
	}
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	transport := &http.Transport{
		MaxIdleConnsPerHost: 16,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if name, port, err := net.SplitHostPort(address); err == nil && strings.HasSuffix(name, ".localhost") {
				address = net.JoinHostPort("127.0.0.1", port)
			}
			return dialer.DialContext(ctx, network, address)
		},
	}
	client, err := minio.New(host, &minio.Options{
		Creds:           credentials.NewStaticV4(os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY"), ""),
		Region:          "us-east-1",
		Transport:       transport,
		BucketLookup:    lookup,
		TrailingHeaders: true,
		MaxRetries:      1,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(transport.CloseIdleConnections)
	return client
}

// newBucket makes a bucket that is emptied and removed when the test ends.
func newBucket(t *testing.T, client *minio.Client) string {
	t.Helper()
	name := fmt.Sprintf("mgo-%016x", rand.Uint64())
	if err := client.MakeBucket(t.Context(), name, minio.MakeBucketOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := context.Background() // the test's own context has ended
		objects := client.ListObjects(ctx, name, minio.ListObjectsOptions{Recursive: true, WithVersions: true})
		for failed := range client.RemoveObjects(ctx, name, objects, minio.RemoveObjectsOptions{}) {
			t.Errorf("remove %s: %v", failed.ObjectName, failed.Err)
		}
		if err := client.RemoveBucket(ctx, name); err != nil {
			t.Errorf("remove bucket: %v", err)
		}
	})
	return name
}

// payload returns size bytes that depend on nothing but size and seed.
func payload(size int, seed byte) []byte {
	data := make([]byte, size)
	key := [32]byte{seed}
	_, _ = rand.NewChaCha8(key).Read(data) // never fails
	return data
}

// mustGet reads a whole object.
func mustGet(t *testing.T, client *minio.Client, bucket, key string, options minio.GetObjectOptions) []byte {
	t.Helper()
	object, err := client.GetObject(t.Context(), bucket, key, options)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = object.Close() }()
	data, err := io.ReadAll(object)
	if err != nil {
		t.Fatalf("read %q: %v", key, err)
	}
	return data
}

// wantBytes fails the test unless got is want, without printing megabytes.
func wantBytes(t *testing.T, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Fatalf("got %d bytes that differ from the %d wanted", len(got), len(want))
	}
}

// wantCode fails the test unless err carries this S3 error code.
func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	if got := minio.ToErrorResponse(err).Code; got != code {
		t.Fatalf("error code %q (%v), want %q", got, err, code)
	}
}

package miniogo

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/tags"
)

func TestPutGet(t *testing.T) {
	client := connect(t, minio.BucketLookupPath)
	bucket := newBucket(t, client)
	for _, size := range []int{0, 1, 70_000, mib, 5*mib + 1} {
		want := payload(size, 1)
		info, err := client.PutObject(t.Context(), bucket, "dir/put +%", bytes.NewReader(want), int64(size),
			minio.PutObjectOptions{ContentType: "a/b", UserMetadata: map[string]string{"run": "7"}, SendContentMd5: size%2 == 1})
		if err != nil {
			t.Fatalf("put %d bytes: %v", size, err)
		}
		wantBytes(t, mustGet(t, client, bucket, "dir/put +%", minio.GetObjectOptions{}), want)
		stat, err := client.StatObject(t.Context(), bucket, "dir/put +%", minio.StatObjectOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if stat.Size != int64(size) || stat.ETag != info.ETag || stat.ContentType != "a/b" || stat.UserMetadata["Run"] != "7" {
			t.Fatalf("stat %+v after put %+v", stat, info)
		}
	}
}

// A reader of unknown size is sent in parts, each with a trailing checksum in signed chunks.
func TestStreamOfUnknownSize(t *testing.T) {
	client := connect(t, minio.BucketLookupPath)
	bucket := newBucket(t, client)
	want := payload(17*mib+9, 2)
	_, err := client.PutObject(t.Context(), bucket, "stream", io.MultiReader(bytes.NewReader(want)), -1,
		minio.PutObjectOptions{PartSize: 5 * mib, ConcurrentStreamParts: true, NumThreads: 3})
	if err != nil {
		t.Fatal(err)
	}
	wantBytes(t, mustGet(t, client, bucket, "stream", minio.GetObjectOptions{}), want)
}

func TestParallelMultipart(t *testing.T) {
	client := connect(t, minio.BucketLookupPath)
	bucket := newBucket(t, client)
	want := payload(23*mib, 3)
	_, err := client.PutObject(t.Context(), bucket, "big", bytes.NewReader(want), int64(len(want)),
		minio.PutObjectOptions{PartSize: 5 * mib, NumThreads: 4})
	if err != nil {
		t.Fatal(err)
	}
	wantBytes(t, mustGet(t, client, bucket, "big", minio.GetObjectOptions{}), want)
}

func TestChecksums(t *testing.T) {
	client := connect(t, minio.BucketLookupPath)
	bucket := newBucket(t, client)
	types := []minio.ChecksumType{minio.ChecksumCRC32, minio.ChecksumCRC32C, minio.ChecksumSHA1, minio.ChecksumSHA256, minio.ChecksumCRC64NVME}
	for i, kind := range types {
		for _, size := range []int{1000, 11 * mib} {
			t.Run(fmt.Sprintf("%s/%d", kind, size), func(t *testing.T) {
				want := payload(size, byte(i))
				_, err := client.PutObject(t.Context(), bucket, "sum", bytes.NewReader(want), int64(size),
					minio.PutObjectOptions{Checksum: kind, PartSize: 5 * mib})
				if err != nil {
					t.Fatal(err)
				}
				stat, err := client.StatObject(t.Context(), bucket, "sum", minio.StatObjectOptions{Checksum: true})
				if err != nil {
					t.Fatal(err)
				}
				sums := []string{stat.ChecksumCRC32, stat.ChecksumCRC32C, stat.ChecksumSHA1, stat.ChecksumSHA256, stat.ChecksumCRC64NVME}
				if sums[i] == "" {
					t.Errorf("no %s in %+v", kind, stat)
				}
				wantBytes(t, mustGet(t, client, bucket, "sum", minio.GetObjectOptions{Checksum: true}), want)
			})
		}
	}
}

func TestReadAtAndSeek(t *testing.T) {
	client := connect(t, minio.BucketLookupPath)
	bucket := newBucket(t, client)
	want := payload(3*mib, 4)
	if _, err := client.PutObject(t.Context(), bucket, "r", bytes.NewReader(want), int64(len(want)), minio.PutObjectOptions{}); err != nil {
		t.Fatal(err)
	}
	object, err := client.GetObject(t.Context(), bucket, "r", minio.GetObjectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = object.Close() }()
	buffer := make([]byte, 100_000)
	for _, offset := range []int64{2_000_000, 0, 65_535} {
		if _, err := object.ReadAt(buffer, offset); err != nil {
			t.Fatalf("read at %d: %v", offset, err)
		}
		wantBytes(t, buffer, want[offset:offset+int64(len(buffer))])
	}
	if _, err := object.Seek(-500, io.SeekEnd); err != nil {
		t.Fatal(err)
	}
	tail, err := io.ReadAll(object)
	if err != nil {
		t.Fatal(err)
	}
	wantBytes(t, tail, want[len(want)-500:])
	options := minio.GetObjectOptions{}
	if err := options.SetRange(0, -7); err != nil { // the last seven bytes
		t.Fatal(err)
	}
	wantBytes(t, mustGet(t, client, bucket, "r", options), want[len(want)-7:])
}

func TestListing(t *testing.T) {
	client := connect(t, minio.BucketLookupPath)
	bucket := newBucket(t, client)
	keys := []string{"a", "a b", "b/1", "b/2", "b/c/3", "d+e", "\u00e9/f"}
	for _, key := range keys {
		if _, err := client.PutObject(t.Context(), bucket, key, nil, 0, minio.PutObjectOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	list := func(options minio.ListObjectsOptions) []string {
		var names []string
		for object := range client.ListObjects(t.Context(), bucket, options) {
			if object.Err != nil {
				t.Fatal(object.Err)
			}
			names = append(names, object.Key)
		}
		return names
	}
	slices.Sort(keys)
	for _, v1 := range []bool{false, true} {
		if got := list(minio.ListObjectsOptions{Recursive: true, UseV1: v1, MaxKeys: 2}); !slices.Equal(got, keys) {
			t.Errorf("v1=%v: got %q, want %q", v1, got, keys)
		}
		got := list(minio.ListObjectsOptions{Prefix: "b/", UseV1: v1})
		slices.Sort(got) // minio-go gives each page's keys first and its prefixes after them
		if want := []string{"b/1", "b/2", "b/c/"}; !slices.Equal(got, want) {
			t.Errorf("v1=%v: got %q, want %q", v1, got, want)
		}
	}
}

func TestCopyAndCompose(t *testing.T) {
	client := connect(t, minio.BucketLookupPath)
	bucket := newBucket(t, client)
	one, two := payload(5*mib, 5), payload(1000, 6)
	for key, data := range map[string][]byte{"one": one, "two": two} {
		if _, err := client.PutObject(t.Context(), bucket, key, bytes.NewReader(data), int64(len(data)), minio.PutObjectOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	destination := minio.CopyDestOptions{Bucket: bucket, Object: "copy"}
	if _, err := client.CopyObject(t.Context(), destination, minio.CopySrcOptions{Bucket: bucket, Object: "two"}); err != nil {
		t.Fatal(err)
	}
	wantBytes(t, mustGet(t, client, bucket, "copy", minio.GetObjectOptions{}), two)
	destination.Object = "composed"
	_, err := client.ComposeObject(t.Context(), destination,
		minio.CopySrcOptions{Bucket: bucket, Object: "one"}, minio.CopySrcOptions{Bucket: bucket, Object: "two"})
	if err != nil {
		t.Fatal(err)
	}
	wantBytes(t, mustGet(t, client, bucket, "composed", minio.GetObjectOptions{}), slices.Concat(one, two))
}

func TestConditionsAndErrors(t *testing.T) {
	client := connect(t, minio.BucketLookupPath)
	bucket := newBucket(t, client)
	put := func(options minio.PutObjectOptions) error {
		_, err := client.PutObject(t.Context(), bucket, "c", bytes.NewReader([]byte("x")), 1, options)
		return err
	}
	var create, swap minio.PutObjectOptions
	create.SetMatchETagExcept("*")
	if err := put(create); err != nil {
		t.Fatal(err)
	}
	wantCode(t, put(create), minio.PreconditionFailed)
	swap.SetMatchETag("00000000000000000000000000000000")
	wantCode(t, put(swap), minio.PreconditionFailed)

	_, err := client.StatObject(t.Context(), bucket, "none", minio.StatObjectOptions{})
	wantCode(t, err, minio.NoSuchKey)
	_, err = client.PutObject(t.Context(), bucket+"-none", "k", nil, 0, minio.PutObjectOptions{})
	wantCode(t, err, minio.NoSuchBucket)
	wantCode(t, client.RemoveBucket(t.Context(), bucket), "BucketNotEmpty")
	wantCode(t, client.MakeBucket(t.Context(), bucket, minio.MakeBucketOptions{ObjectLocking: true}), "BucketAlreadyOwnedByYou")
}

// A body that ends before its announced length must not become an object.
func TestShortBody(t *testing.T) {
	client := connect(t, minio.BucketLookupPath)
	bucket := newBucket(t, client)
	broken := io.MultiReader(bytes.NewReader(payload(100_000, 7)), failing{})
	if _, err := client.PutObject(t.Context(), bucket, "short", broken, 200_000, minio.PutObjectOptions{}); err == nil {
		t.Fatal("a put of a broken reader succeeded")
	}
	_, err := client.StatObject(t.Context(), bucket, "short", minio.StatObjectOptions{})
	wantCode(t, err, minio.NoSuchKey)
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("the source failed") }

func TestVersionsAndTags(t *testing.T) {
	client := connect(t, minio.BucketLookupPath)
	bucket := newBucket(t, client)
	if err := client.EnableVersioning(t.Context(), bucket); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for i := range 3 {
		data := payload(1000, byte(i))
		info, err := client.PutObject(t.Context(), bucket, "v", bytes.NewReader(data), 1000, minio.PutObjectOptions{UserTags: map[string]string{"n": fmt.Sprint(i)}})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, info.VersionID)
	}
	for i, id := range ids {
		wantBytes(t, mustGet(t, client, bucket, "v", minio.GetObjectOptions{VersionID: id}), payload(1000, byte(i)))
		got, err := client.GetObjectTagging(t.Context(), bucket, "v", minio.GetObjectTaggingOptions{VersionID: id})
		if err != nil || got.ToMap()["n"] != fmt.Sprint(i) {
			t.Fatalf("tags of version %d: %v, %v", i, got, err)
		}
	}
	set, err := tags.NewTags(map[string]string{"new": "tag + more"}, true)
	if err == nil {
		err = client.PutObjectTagging(t.Context(), bucket, "v", set, minio.PutObjectTaggingOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := client.RemoveObject(t.Context(), bucket, "v", minio.RemoveObjectOptions{}); err != nil {
		t.Fatal(err)
	}
	_, err = client.StatObject(t.Context(), bucket, "v", minio.StatObjectOptions{})
	wantCode(t, err, minio.NoSuchKey)
}

func TestPresigned(t *testing.T) {
	client := connect(t, minio.BucketLookupPath)
	bucket := newBucket(t, client)
	put, err := client.PresignedPutObject(t.Context(), bucket, "p q", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	want := payload(70_000, 8)
	fetch(t, http.MethodPut, put, want)
	get, err := client.PresignedGetObject(t.Context(), bucket, "p q", time.Minute, url.Values{"response-content-type": {"a/b"}})
	if err != nil {
		t.Fatal(err)
	}
	wantBytes(t, fetch(t, http.MethodGet, get, nil), want)
}

func fetch(t *testing.T, method string, target *url.URL, body []byte) []byte {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, target.String(), bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	data, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v: %.300s", method, response.Status, err, data)
	}
	return data
}

func TestVirtualHost(t *testing.T) {
	client := connect(t, minio.BucketLookupDNS)
	bucket := newBucket(t, client)
	want := payload(6*mib, 9)
	_, err := client.PutObject(t.Context(), bucket, "v/h", bytes.NewReader(want), int64(len(want)), minio.PutObjectOptions{PartSize: 5 * mib})
	if err != nil {
		t.Fatal(err)
	}
	wantBytes(t, mustGet(t, client, bucket, "v/h", minio.GetObjectOptions{}), want)
}

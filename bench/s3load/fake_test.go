package s3load

import (
	"crypto/md5"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// fakeS3 is the smallest S3 this tool can be run against. Its fault hook sees every successful read and
// may change what is answered.
type fakeS3 struct {
	mu      sync.Mutex
	bucket  bool
	objects map[string][]byte
	uploads map[string]map[int][]byte
	nextID  int

	// fault may answer a request itself and return true. body is what a GET would return.
	fault func(w http.ResponseWriter, r *http.Request, body []byte) bool
}

func newFakeS3() *fakeS3 {
	return &fakeS3{objects: map[string][]byte{}, uploads: map[string]map[int][]byte{}}
}

func (f *fakeS3) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential=AK/") {
		fail(w, 403, "AccessDenied")
		return
	}
	w.Header().Set("Server", "fake")
	_, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch {
	case key == "" && r.Method != "POST" && !r.URL.Query().Has("list-type"):
		f.serveBucket(w, r)
	case !f.bucket:
		fail(w, 404, "NoSuchBucket")
	case r.URL.Query().Has("list-type"):
		f.list(w, r)
	case r.URL.Query().Has("delete"):
		f.deleteMany(w, body)
	case r.URL.Query().Has("uploads"), r.URL.Query().Has("uploadId"):
		f.multipart(w, r, key, body)
	default:
		f.object(w, r, key, body)
	}
}

func fail(w http.ResponseWriter, status int, code string) {
	w.WriteHeader(status)
	fmt.Fprintf(w, "<Error><Code>%s</Code></Error>", code)
}

func (f *fakeS3) serveBucket(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method == "PUT":
		f.bucket = true
	case !f.bucket:
		fail(w, 404, "NoSuchBucket")
	case r.Method == "DELETE" && len(f.objects) > 0:
		fail(w, 409, "BucketNotEmpty")
	case r.Method == "DELETE":
		f.bucket = false
		w.WriteHeader(204)
	}
}

func (f *fakeS3) object(w http.ResponseWriter, r *http.Request, key string, body []byte) {
	have, ok := f.objects[key]
	switch {
	case r.Method == "PUT":
		f.objects[key] = body
		w.Header().Set("ETag", fmt.Sprintf(`"%x"`, md5.Sum(body)))
	case r.Method == "DELETE":
		delete(f.objects, key)
		w.WriteHeader(204)
	case !ok:
		fail(w, 404, "NoSuchKey")
	case r.Method == "GET":
		if rng := r.Header.Get("Range"); rng != "" {
			var first, last int
			if _, err := fmt.Sscanf(rng, "bytes=%d-%d", &first, &last); err != nil || last >= len(have) {
				fail(w, 416, "InvalidRange")
				return
			}
			have = have[first : last+1]
		}
		if f.fault != nil && f.fault(w, r, have) {
			return
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(have)))
		if r.Header.Get("Range") != "" {
			w.WriteHeader(206)
		}
		_, _ = w.Write(have)
	}
}

func (f *fakeS3) list(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	limit, _ := strconv.Atoi(q.Get("max-keys"))
	var keys []string
	for k := range f.objects {
		if strings.HasPrefix(k, q.Get("prefix")) && k > q.Get("continuation-token") {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	b := &strings.Builder{}
	b.WriteString("<ListBucketResult>")
	for _, k := range keys[:min(limit, len(keys))] {
		fmt.Fprintf(b, "<Contents><Key>%s</Key><Size>%d</Size></Contents>", k, len(f.objects[k]))
	}
	if len(keys) > limit {
		fmt.Fprintf(b, "<NextContinuationToken>%s</NextContinuationToken>", keys[limit-1])
	}
	b.WriteString("</ListBucketResult>")
	// pages of 1000 are those of the preparation and the cleanup, which must work
	if f.fault != nil && limit != 1000 && f.fault(w, r, []byte(b.String())) {
		return
	}
	_, _ = io.WriteString(w, b.String())
}

func (f *fakeS3) deleteMany(w http.ResponseWriter, body []byte) {
	var d struct{ Object []struct{ Key string } }
	if xml.Unmarshal(body, &d) != nil {
		fail(w, 400, "MalformedXML")
		return
	}
	for _, o := range d.Object {
		delete(f.objects, o.Key)
	}
	_, _ = io.WriteString(w, "<DeleteResult></DeleteResult>")
}

func (f *fakeS3) multipart(w http.ResponseWriter, r *http.Request, key string, body []byte) {
	id := r.URL.Query().Get("uploadId")
	parts := f.uploads[id]
	switch {
	case r.Method == "POST" && id == "":
		id = "id+/=" + strconv.Itoa(f.nextID) // with characters that must be escaped
		f.nextID++
		f.uploads[id] = map[int][]byte{}
		fmt.Fprintf(w, "<R><UploadId>%s</UploadId></R>", id)
	case parts == nil:
		fail(w, 404, "NoSuchUpload")
	case r.Method == "PUT":
		n, _ := strconv.Atoi(r.URL.Query().Get("partNumber"))
		parts[n] = body
		w.Header().Set("ETag", fmt.Sprintf(`"%x"`, md5.Sum(body)))
	case r.Method == "POST":
		var whole []byte
		for n := 1; parts[n] != nil; n++ {
			whole = append(whole, parts[n]...)
		}
		f.objects[key] = whole
		delete(f.uploads, id)
		_, _ = io.WriteString(w, "<CompleteMultipartUploadResult><ETag>x</ETag></CompleteMultipartUploadResult>")
	}
}

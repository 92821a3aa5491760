package s3load

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"crypto/md5" //nolint:gosec // S3 demands Content-MD5 on DeleteObjects
)

// slice is one case on one endpoint for one stretch of time, as the workers see it.
type slice struct {
	op     Op
	size   int64
	data   keySet       // prepared objects
	next   atomic.Int64 // OpDelete: the next object to delete
	prefix string       // of new keys, unique to the slice
}

// step returns the function that performs one operation of s.
func (w *worker) step(s *slice) func() error {
	w.fresh = keySet{prefix: s.prefix + strconv.Itoa(w.id) + "/", count: 1e8, size: s.size}
	w.made = 0
	switch s.op {
	case OpGet:
		return func() error { return w.stepGet(s) }
	case OpHead:
		return func() error { return w.stepHead(s) }
	case OpRange:
		return func() error { return w.stepRange(s) }
	case OpPut:
		return func() error { return w.stepPut(s) }
	case OpDelete:
		return func() error { return w.stepDelete(s) }
	case OpMultipart:
		return func() error { return w.stepMultipart(s) }
	case OpList:
		return func() error { return w.stepList(s) }
	case OpMixed:
		w.kinds = map[Op]*Histogram{}
		return func() error { return w.stepMixed(s) }
	}
	return func() error { return fmt.Errorf("unknown operation %q", s.op) }
}

func (w *worker) pick(s *slice) {
	w.key = s.data.append(w.key[:0], w.rng.IntN(s.data.count))
}

func (w *worker) stepGet(s *slice) error {
	w.pick(s)
	a, err := w.read(0, s.size, true, w.sampled())
	if err == nil {
		w.done(OpGet, a, s.size)
	}
	return err
}

func (w *worker) stepHead(s *slice) error {
	w.pick(s)
	a, err := w.simple("HEAD")
	if err == nil {
		w.done(OpHead, a, 0)
	}
	return err
}

func (w *worker) stepRange(s *slice) error {
	w.pick(s)
	n := w.t.cfg.RangeSize
	a, err := w.read(w.rng.Int64N(s.size-n+1), n, false, w.sampled())
	if err == nil {
		w.done(OpRange, a, n)
	}
	return err
}

// freshKey sets w.key to a key never used before.
func (w *worker) freshKey() {
	w.key = w.fresh.append(w.key[:0], w.made)
	w.made++
}

func (w *worker) stepPut(s *slice) error {
	w.freshKey()
	a, err := w.put(s.size)
	if err == nil {
		w.done(OpPut, a, s.size)
		w.own = append(w.own, string(w.key))
	}
	return err
}

func (w *worker) stepDelete(s *slice) error {
	i := int(s.next.Add(1)) - 1
	if i >= s.data.count {
		return errNoMore
	}
	w.key = s.data.append(w.key[:0], i)
	a, err := w.simple("DELETE")
	if err == nil {
		w.done(OpDelete, a, 0)
	}
	return err
}

func (w *worker) stepMixed(s *slice) error {
	m := &w.t.cfg.Mix
	n := w.rng.IntN(m.Get + m.Put + m.Head + m.Delete)
	switch {
	case n < m.Get:
		return w.stepGet(s)
	case n < m.Get+m.Head:
		return w.stepHead(s)
	case n < m.Get+m.Head+m.Delete && len(w.own) > 0:
		w.key = append(w.key[:0], w.own[len(w.own)-1]...)
		w.own = w.own[:len(w.own)-1]
		a, err := w.simple("DELETE")
		if err == nil {
			w.done(OpDelete, a, 0)
		}
		return err
	}
	return w.stepPut(s)
}

func (w *worker) stepMultipart(s *slice) error {
	w.freshKey()
	begin := time.Now()
	a, err := w.upload(s.size)
	if err != nil {
		return err
	}
	a.total = time.Since(begin)
	w.done(OpMultipart, a, s.size)
	w.own = append(w.own, string(w.key))
	return nil
}

// upload writes the object named w.key in parts. The answer is that of CompleteMultipartUpload.
func (w *worker) upload(size int64) (answer, error) {
	id, err := w.createUpload()
	if err != nil {
		return answer{}, err
	}
	a, err := w.uploadParts(id, size)
	if err != nil {
		w.prepareRequest("DELETE", "uploadId="+id)
		w.setKey()
		_, abortErr := w.do(w.ctx, &w.req, nil)
		return a, errors.Join(err, abortErr)
	}
	return a, nil
}

func (w *worker) createUpload() (string, error) {
	w.prepareRequest("POST", "uploads=")
	w.setKey()
	w.xml = w.xml[:0]
	if _, err := w.do(w.ctx, &w.req, &w.xml); err != nil {
		return "", fmt.Errorf("create upload %s: %w", w.key, err)
	}
	id, ok := element(w.xml, "UploadId")
	if !ok || len(id) == 0 {
		return "", fmt.Errorf("create upload %s: no UploadId in %.200q", w.key, w.xml)
	}
	return string(appendEscaped(nil, unescape(id), false)), nil
}

func (w *worker) uploadParts(id string, size int64) (answer, error) {
	seed := seedOf(w.key)
	done := []byte("<CompleteMultipartUpload>")
	for n, off := 1, int64(0); off < size; n, off = n+1, off+w.t.cfg.PartSize {
		w.prepareRequest("PUT", "partNumber="+strconv.Itoa(n)+"&uploadId="+id)
		w.setKey()
		w.setBody(seed, off, min(w.t.cfg.PartSize, size-off))
		a, err := w.do(w.ctx, &w.req, nil)
		if err != nil {
			return a, fmt.Errorf("put part %d of %s: %w", n, w.key, err)
		}
		done = fmt.Appendf(done, "<Part><PartNumber>%d</PartNumber><ETag>%s</ETag></Part>", n, a.etag)
	}
	w.prepareRequest("POST", "uploadId="+id)
	w.setKey()
	w.setXML(append(done, "</CompleteMultipartUpload>"...))
	w.xml = w.xml[:0]
	a, err := w.do(w.ctx, &w.req, &w.xml)
	if err != nil {
		return a, fmt.Errorf("complete upload %s: %w", w.key, err)
	}
	if _, ok := element(w.xml, "ETag"); !ok { // an error may come with status 200 here
		return a, fmt.Errorf("complete upload %s: %.300q", w.key, w.xml)
	}
	return a, nil
}

// stepList lists all keys of the prepared set, page by page; each page counts as an operation. The deadline
// is only looked at between listings, so keep the sets small enough.
func (w *worker) stepList(s *slice) error {
	token, next := "", 0
	compare := w.t.cfg.Verify > 0
	for {
		page, err := w.listPage(s.data.prefix, token, w.t.cfg.PageSize)
		if err != nil {
			return err
		}
		w.done(OpList, page.answer, int64(len(w.xml)))
		w.keys += int64(page.count)
		if compare {
			w.checked++
			for key := range eachKey(w.xml) {
				if s.data.index(key) != next {
					return fmt.Errorf("list %s: key %q where number %d belongs: %w", s.data.prefix, key, next, ErrWrongBytes)
				}
				next++
			}
		} else {
			next += page.count
		}
		if token = page.next; token == "" {
			break
		}
	}
	if next != s.data.count {
		return fmt.Errorf("list %s: %d keys, want %d: %w", s.data.prefix, next, s.data.count, ErrWrongBytes)
	}
	return nil
}

// page is the outcome of one ListObjectsV2; the XML is in worker.xml until the next request.
type page struct {
	answer
	count int
	next  string // escaped continuation token, "" at the end
}

func (w *worker) listPage(prefix, token string, size int) (page, error) {
	q := ""
	if token != "" {
		q = "continuation-token=" + token + "&"
	}
	q += "list-type=2&max-keys=" + strconv.Itoa(size) + "&prefix=" + string(appendEscaped(nil, prefix, false))
	w.prepareRequest("GET", q)
	w.xml = w.xml[:0]
	a, err := w.do(w.ctx, &w.req, &w.xml)
	if err != nil {
		return page{}, fmt.Errorf("list %s: %w", prefix, err)
	}
	p := page{answer: a, count: countKeys(w.xml)}
	if t, ok := element(w.xml, "NextContinuationToken"); ok {
		p.next = string(appendEscaped(nil, unescape(t), false))
	}
	return p, nil
}

// deleteKeys deletes up to 1000 keys with one DeleteObjects request. Keys must not need XML escapes.
func (w *worker) deleteKeys(keys []string) error {
	b := []byte("<Delete><Quiet>true</Quiet>")
	for _, k := range keys {
		b = append(append(append(b, "<Object><Key>"...), k...), "</Key></Object>"...)
	}
	b = append(b, "</Delete>"...)
	w.prepareRequest("POST", "delete=")
	w.setXML(b)
	sum := md5.Sum(b) //nolint:gosec // see import
	w.req.contentMD5 = base64.StdEncoding.EncodeToString(sum[:])
	w.xml = w.xml[:0]
	if _, err := w.do(w.ctx, &w.req, &w.xml); err != nil {
		return fmt.Errorf("delete %d objects: %w", len(keys), err)
	}
	if _, failed := element(w.xml, "Error"); failed {
		return fmt.Errorf("delete %d objects: %.300q", len(keys), w.xml)
	}
	return nil
}

package main

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// patience is how long a client waits for an answer.
const patience = 15 * time.Second

// sizes favour those where the store changes its ways: inline, replicated, one stripe, several.
var sizes = []int{0, 100, 5000, 40 << 10, 64<<10 + 1, 300 << 10, 1 << 20}

// content makes the bytes of a write, at least the 8 that are its number.
func content(v value) []byte {
	var seed [32]byte
	for i := range 8 {
		seed[i] = byte(v >> (8 * i))
	}
	b := make([]byte, 8+sizes[int(v)%len(sizes)])
	_, _ = rand.NewChaCha8(seed).Read(b) // never fails
	copy(b, seed[:8])
	return b
}

func etagOf(v value) string {
	sum := md5.Sum(content(v))
	return hex.EncodeToString(sum[:])
}

// load is the clients, and what they know. Keys are with their bucket: bucket/key.
type load struct {
	c       *cluster
	o       options
	clients []*minio.Client // one for each gateway
	next    atomic.Uint64   // number of the last write
	http    *transport      // of all clients
	buckets []string        // one in each etcd cluster
	over    atomic.Bool     // clients end
	away    atomic.Int64    // bucket whose etcd cluster is away, from 1; 0 none

	mu    sync.Mutex
	etags map[string]value // of all writes
	acked map[string]value // keys of the ledger
	wrong error            // the first that must not be
}

func newLoad(ctx context.Context, o options, c *cluster) (*load, error) {
	l := &load{c: c, o: o, etags: map[string]value{}, acked: map[string]value{}}
	l.http = &transport{l: l, inner: http.Transport{MaxIdleConnsPerHost: 4 * o.clients, DisableCompression: true}}
	for i, addr := range c.addresses {
		if o.plant && i == 0 {
			var err error
			if addr, err = plant(addr); err != nil {
				return nil, err
			}
		}
		client, err := minio.New(addr, &minio.Options{
			Creds: credentials.NewStaticV4(c.access, c.secret, ""), Region: "us-east-1",
			Transport:  l.http,
			MaxRetries: 1, // a retry would hide what was answered
		})
		if err != nil {
			return nil, err
		}
		l.clients = append(l.clients, client)
	}
	for _, e := range c.etcd {
		l.buckets = append(l.buckets, e.bucket())
		if err := l.clients[len(l.clients)-1].MakeBucket(ctx, e.bucket(), minio.MakeBucketOptions{}); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// ledger begins the keys of a bucket that are written once.
func (l *load) ledger(bucket int) string { return l.buckets[bucket] + "/ledger/" }

// transport sends requests. With several etcd clusters no answer may be a 500: what is away is a 503,
// and while one is away the buckets of the others go on. On a machine that stands still for a moment
// a gateway loses its lease of any, so that only --strict forbids every 503.
type transport struct {
	l     *load
	inner http.Transport
}

func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := t.inner.RoundTrip(r)
	if err != nil || len(t.l.buckets) == 1 {
		return answer, err
	}
	away, bucket := t.l.away.Load(), slices.IndexFunc(t.l.buckets, func(name string) bool { return strings.HasPrefix(r.URL.Path, "/"+name+"/") })
	others := t.l.o.strict && away != 0 && bucket >= 0 && int64(bucket+1) != away
	if answer.StatusCode == http.StatusInternalServerError || answer.StatusCode == http.StatusServiceUnavailable && others {
		t.l.fail(fmt.Errorf("%s %s: %s (request %s)", r.Method, r.URL.Path, answer.Status, answer.Header.Get("X-Amz-Request-Id")))
	}
	return answer, err
}

func (l *load) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.wrong == nil {
		l.wrong = err
	}
}

func (l *load) failed() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.wrong
}

// newValue is a write that nobody made before; 0 is none.
func (l *load) newValue() value {
	v := value(l.next.Add(1))
	tag := etagOf(v)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.etags[tag] = v
	return v
}

func (l *load) valueOf(etag string) (value, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	v, ok := l.etags[etag]
	if !ok {
		return 0, fmt.Errorf("ETag %q is of nothing that was ever written", etag)
	}
	return v, nil
}

// run starts the clients, until it is over. Each operation is in one of the histories.
func (l *load) run(ctx context.Context, histories []*history, seed uint64) (wait func() error) {
	l.over.Store(false)
	var clients sync.WaitGroup
	for i := range l.o.clients {
		clients.Go(func() {
			rng := rand.New(rand.NewPCG(seed, uint64(i)))
			last := map[string]value{} // as this client saw it last
			for !l.over.Load() && l.failed() == nil {
				l.step(ctx, histories, rng, i, last)
			}
		})
	}
	return func() error {
		clients.Wait()
		return l.failed()
	}
}

// step does one operation through a gateway chosen by chance.
func (l *load) step(ctx context.Context, histories []*history, rng *rand.Rand, client int, last map[string]value) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	gw := l.clients[rng.IntN(len(l.clients))]
	n := rng.IntN(len(histories))
	h, ledger := histories[n], l.ledger(n)
	key := h.keys[rng.IntN(len(h.keys))]
	called := h.now()
	op := rng.IntN(100)
	if l.away.Load() == int64(n+1) {
		op %= 46 // it is read: writes that may have happened add up until no order of them is found in time
	}
	switch n := op; {
	case n < 40:
		v, err := l.get(ctx, gw, key)
		a := answer{read: v}
		if err != nil {
			a.outcome = unknown
		} else {
			last[key] = v
		}
		h.add(client, called, request{key: key, kind: get}, a)
	case n < 46:
		if found, err := l.list(ctx, gw, h.prefix); err == nil {
			h.addList(client, called, found)
		}
	case n < 52:
		err := l.rename(ctx, gw, key, other(key))
		if status := minio.ToErrorResponse(err).StatusCode; status == http.StatusBadRequest || status == http.StatusForbidden {
			l.fail(fmt.Errorf("rename of %s: %w", key, err))
		}
		h.wrote(ctx, client, called, request{key: key, kind: rename}, outcomeOf(err))
	case n < 58:
		bucket, name, _ := strings.Cut(key, "/")
		err := gw.RemoveObject(ctx, bucket, name, minio.RemoveObjectOptions{})
		h.wrote(ctx, client, called, request{key: key, kind: remove}, outcomeOf(err))
	case n < 68:
		_ = l.enter(ctx, gw, fmt.Sprint(ledger, h.prefix, client, "-", called)) // who has no success has nothing to lose
	default:
		r, o := request{key: key, kind: put, write: l.newValue()}, minio.PutObjectOptions{}
		switch {
		case n >= 90:
			r.kind = putIfAbsent
			o.SetMatchETagExcept("*")
		case n >= 80 && last[key] != 0:
			r.kind, r.match = putIfMatch, last[key]
			o.SetMatchETag(etagOf(r.match))
		}
		called = h.now()
		out := outcomeOf(l.put(ctx, gw, key, r.write, o))
		if out == refused && r.kind == put {
			l.fail(fmt.Errorf("a put without a condition was refused"))
		}
		if out == done {
			last[key] = r.write
		}
		h.wrote(ctx, client, called, r, out)
	}
}

// enter writes a key of the ledger once; with success it counts.
func (l *load) enter(ctx context.Context, gw *minio.Client, key string) error {
	v := l.newValue()
	err := l.put(ctx, gw, key, v, minio.PutObjectOptions{})
	if err == nil {
		l.mu.Lock()
		l.acked[key] = v
		l.mu.Unlock()
	}
	return err
}

// outcomeOf is what an answer says of a write.
func outcomeOf(err error) outcome {
	if err == nil {
		return done
	}
	switch r := minio.ToErrorResponse(err); {
	case r.StatusCode == http.StatusPreconditionFailed, r.Code == minio.NoSuchKey:
		return refused
	}
	return unknown
}

func (l *load) put(ctx context.Context, gw *minio.Client, key string, v value, o minio.PutObjectOptions) error {
	b := content(v)
	o.DisableMultipart = true
	bucket, name, _ := strings.Cut(key, "/")
	_, err := gw.PutObject(ctx, bucket, name, bytes.NewReader(b), int64(len(b)), o)
	return err
}

// get reads and compares every byte.
func (l *load) get(ctx context.Context, gw *minio.Client, key string) (value, error) {
	// Core sends one request, where Client sends two and the object may change between.
	core := minio.Core{Client: gw}
	bucket, name, _ := strings.Cut(key, "/")
	body, info, _, err := core.GetObject(ctx, bucket, name, minio.GetObjectOptions{})
	if minio.ToErrorResponse(err).Code == minio.NoSuchKey {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer func() { _ = body.Close() }()
	b, err := io.ReadAll(body)
	if err != nil {
		return 0, err
	}
	v, err := l.valueOf(info.ETag)
	if err == nil && !bytes.Equal(b, content(v)) {
		err = fmt.Errorf("%d bytes are not those of write %d", len(b), v)
	}
	if err != nil {
		l.fail(fmt.Errorf("WRONG BYTES of %s: %w", key, err))
	}
	return v, err
}

func (l *load) list(ctx context.Context, gw *minio.Client, prefix string) (map[string]value, error) {
	found := map[string]value{}
	bucket, prefix, _ := strings.Cut(prefix, "/")
	for o := range gw.ListObjects(ctx, bucket, minio.ListObjectsOptions{Prefix: prefix, Recursive: true}) {
		if o.Err != nil {
			return nil, o.Err
		}
		v, err := l.valueOf(trim(o.ETag))
		if err != nil {
			l.fail(fmt.Errorf("listing of %s: %w", o.Key, err))
			return nil, err
		}
		found[bucket+"/"+o.Key] = v
	}
	return found, ctx.Err()
}

func trim(etag string) string { return string(bytes.Trim([]byte(etag), `"`)) }

// recovered waits until every bucket is written and read through every gateway.
func (l *load) recovered(ctx context.Context) error {
	for i := range l.clients {
		for n := range l.buckets {
			if err := l.serves(ctx, i, n, time.Minute); err != nil {
				return fmt.Errorf("after a fault: %w", err)
			}
		}
	}
	return l.failed()
}

// readAll reads every key of a round through every gateway, when all is well.
func (l *load) readAll(ctx context.Context, h *history) error {
	for i, gw := range l.clients {
		for _, key := range h.keys {
			called := h.now()
			v, err := l.again(ctx, func(ctx context.Context) (value, error) { return l.get(ctx, gw, key) })
			if err != nil {
				return fmt.Errorf("read %s through gw%d when all is well: %w", key, i, err)
			}
			h.add(100+i, called, request{key: key, kind: get}, answer{read: v})
		}
		called := h.now()
		found, err := l.list(ctx, gw, h.prefix)
		if err != nil {
			return fmt.Errorf("list through gw%d when all is well: %w", i, err)
		}
		h.addList(100+i, called, found)
	}
	return l.failed()
}

// again tries a few times: what a fault broke off may show in the first request after it.
func (l *load) again(ctx context.Context, do func(context.Context) (value, error)) (v value, err error) {
	for range 10 {
		if v, err = do(ctx); err == nil || l.failed() != nil || errors.Is(ctx.Err(), context.Canceled) {
			return v, err
		}
		pause(ctx, 300*time.Millisecond)
	}
	return v, err
}

// verifyLedger demands every acknowledged write of the ledger, from a gateway each, and in the listing of all.
func (l *load) verifyLedger(ctx context.Context) error {
	i := 0
	for key, want := range l.acked {
		gw := l.clients[i%len(l.clients)]
		i++
		v, err := l.again(ctx, func(ctx context.Context) (value, error) { return l.get(ctx, gw, key) })
		if err != nil || v != want {
			return fmt.Errorf("LOST WRITE: %s was acknowledged as write %d and is %d, %w", key, want, v, err)
		}
	}
	for i, gw := range l.clients {
		found := map[string]value{}
		for n := range l.buckets {
			list, err := l.list(ctx, gw, l.ledger(n))
			if err != nil {
				return err
			}
			maps.Copy(found, list)
		}
		for key, want := range l.acked {
			if found[key] != want {
				return fmt.Errorf("LOST WRITE: %s is not listed by gw%d as write %d but %d", key, i, want, found[key])
			}
		}
	}
	logf("ledger: %d acknowledged writes are all there", len(l.acked))
	return l.failed()
}

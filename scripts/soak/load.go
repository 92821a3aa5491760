package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"github.com/minio/minio-go/v7"
)

const (
	bucket   = "soak"
	keysEach = 40 // keys of one worker; small, so that most writes replace something
	partSize = 5 << 20
)

// sameAs tells whether stored (nil: absent) is what s says.
func sameAs(s state, stored []byte) bool {
	if !s.present || stored == nil {
		return !s.present && stored == nil
	}
	return len(stored) == s.size && bytes.Equal(stored, content(s.seed, s.size))
}

// fetch returns an object's bytes, nil when there is no such object.
func fetch(ctx context.Context, client *minio.Client, key string) ([]byte, error) {
	object, err := client.GetObject(ctx, bucket, key, minio.GetObjectOptions{})
	if err != nil {
		return nil, err
	}
	defer func() { _ = object.Close() }()
	data, err := io.ReadAll(object)
	if minio.ToErrorResponse(err).Code == minio.NoSuchKey {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if data == nil {
		data = []byte{}
	}
	return data, nil
}

// load runs workers until the server is killed.
type load struct {
	client *minio.Client
	ledger *ledger
	killed atomic.Bool // set before the signal is sent: errors from then on are expected
	count  atomic.Int64
	failed atomic.Pointer[error]
}

// run starts n workers; the function it returns waits until they have seen the server die.
func (l *load) run(ctx context.Context, n int, round uint64, seed uint64) (wait func() error) {
	var workers sync.WaitGroup
	for w := range n {
		workers.Go(func() {
			rng := rand.New(rand.NewPCG(seed, round<<16|uint64(w)))
			for l.failed.Load() == nil {
				err := l.step(ctx, rng, w)
				if err == nil {
					l.count.Add(1)
					continue
				}
				if !l.killed.Load() {
					l.failed.CompareAndSwap(nil, &err)
				}
				return
			}
		})
	}
	return func() error {
		workers.Wait()
		if err := l.failed.Load(); err != nil {
			return *err
		}
		return nil
	}
}

// step does one operation on a key of this worker's own.
func (l *load) step(ctx context.Context, rng *rand.Rand, worker int) error {
	key := fmt.Sprintf("w%d/k%02d", worker, rng.IntN(keysEach))
	current, settled := l.ledger.known(key)
	if !settled {
		return errors.New("a key is still pending: " + key)
	}
	next := state{present: true, seed: rng.Uint64(), size: pickSize(rng)}
	switch kind := rng.IntN(100); {
	case kind < 15:
		stored, err := fetch(ctx, l.client, key)
		if err == nil && !sameAs(current, stored) {
			return fmt.Errorf("%s read while running is not %v", key, current)
		}
		return err
	case kind < 30:
		next = state{}
	case kind < 34:
		next.size = partSize + 1 + rng.IntN(partSize)
	}
	l.ledger.begin(key, next)
	if err := l.write(ctx, key, current, next); err != nil {
		return err
	}
	l.ledger.acknowledge(key)
	return nil
}

func (l *load) write(ctx context.Context, key string, current, next state) error {
	if !next.present {
		return l.client.RemoveObject(ctx, bucket, key, minio.RemoveObjectOptions{})
	}
	options := minio.PutObjectOptions{PartSize: partSize}
	if !current.present {
		options.SetMatchETagExcept("*")
	}
	_, err := l.client.PutObject(ctx, bucket, key, bytes.NewReader(content(next.seed, next.size)), int64(next.size), options)
	if err != nil {
		return fmt.Errorf("put %s, %v over %v: %w", key, next, current, err)
	}
	return nil
}

// pickSize favours the sizes where the store changes its ways: inline, replicated, one stripe, many.
func pickSize(rng *rand.Rand) int {
	switch n := rng.IntN(10); {
	case n < 5:
		return rng.IntN(8 << 10)
	case n < 7:
		return 64<<10 - 2 + rng.IntN(5)
	case n < 9:
		return rng.IntN(1 << 20)
	default:
		return rng.IntN(4 << 20)
	}
}

package s3api

import (
	"context"
	"sync"
	"time"

	"github.com/weftstore/weft/lifecycle"
	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/s3api/accesslog"
	"github.com/weftstore/weft/s3api/policy"
)

const (
	// bucketAge bounds how long a change of a bucket that was made through another
	// gateway goes unseen by the authorization here.
	bucketAge = time.Second
	// maxBucketStates bounds the cache.
	maxBucketStates = 4096
)

// bucketState is what authorization knows of a bucket. It is read-only.
type bucketState struct {
	*metadata.Bucket
	owner      string // account
	policy     *policy.Document
	public     bool // policy lets everybody in
	broken     bool // a document cannot be read: nobody but the owner's root gets in
	block      publicBlock
	lock       lockRule
	cors       []corsRule
	acl        *acl // nil: private
	read       time.Time
	encryption bucketEncryption
	// lifecycle is for the headers that tell of it; the worker reads its own.
	lifecycle lifecycle.Config
	logging   *accesslog.Source // nil: requests are not logged
}

// bucketStates caches them. What this handler changes is seen at once, what others
// change within bucketAge.
type bucketStates struct {
	mu    sync.RWMutex
	turn  uint64 // counts forgets, so that what was read before one is not kept after it
	known map[string]*bucketState
}

func (s *bucketStates) get(ctx context.Context, from Buckets, name string, now time.Time) (*bucketState, error) {
	s.mu.RLock()
	b, turn := s.known[name], s.turn
	s.mu.RUnlock()
	if b != nil && now.Sub(b.read) < bucketAge && now.Sub(b.read) >= 0 {
		return b, nil
	}
	rec, err := from.Bucket(ctx, name)
	if err != nil {
		return nil, err
	}
	if b != nil && b.Bucket == rec { // the store gives the same record until it changes
		again := *b
		b = &again
	} else {
		b = newBucketState(rec)
	}
	b.read = now
	s.mu.Lock()
	defer s.mu.Unlock()
	if turn != s.turn {
		return b, nil
	}
	if s.known == nil || len(s.known) >= maxBucketStates {
		s.known = map[string]*bucketState{}
	}
	s.known[b.Name] = b
	return b, nil
}

// peek is what is known of a bucket already, however old; nil for nothing.
func (s *bucketStates) peek(name string) *bucketState {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.known[name]
}

// forget is called before and after a change.
func (s *bucketStates) forget(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turn++
	delete(s.known, name)
}

func newBucketState(rec *metadata.Bucket) *bucketState {
	b := &bucketState{Bucket: rec, owner: rec.Owner}
	if b.owner == "" {
		b.owner = RootAccount
	}
	var err error
	if text := rec.Configs[configPolicy]; text != "" {
		if b.policy, err = policy.Parse([]byte(text), policy.Bucket, rec.Name); err != nil {
			b.broken = true
		}
		b.public = b.policy.Public()
	}
	if text := rec.Configs[configPublicBlock]; text != "" {
		if b.block, err = decodePublicBlock([]byte(text)); err != nil {
			b.broken = true
		}
	}
	if text := rec.Configs[configLock]; text != "" {
		if b.lock, err = decodeLockRule(text); err != nil {
			b.broken = true
		}
	}
	if text := rec.Configs[configACL]; text != "" {
		if b.acl, err = decodeACL(text); err != nil {
			b.broken = true
		}
	}
	if text := rec.Configs[configLifecycle]; text != "" {
		b.lifecycle, _ = lifecycle.Parse(text)
	}
	if text := rec.Configs[configLogging]; text != "" {
		if cfg, err := decodeLogging(text); err == nil {
			b.logging = &accesslog.Source{Account: b.owner, Bucket: rec.Name, Config: *cfg}
		}
	}
	if text := rec.Configs[configCORS]; text != "" {
		b.cors, _ = decodeCORS([]byte(text)) // without it browsers are let see nothing
	}
	if text := rec.Configs[configEncryption]; text != "" {
		if b.encryption, err = decodeBucketEncryption([]byte(text)); err != nil {
			b.broken = true
		}
	}
	return b
}

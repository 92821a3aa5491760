package audit

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Webhook says where lines are posted.
type Webhook struct {
	URL string
	// TokenFile has what is sent as "Authorization: Bearer ...", read for each post; "" sends none.
	TokenFile string
	Spool     string // directory of segments
	Client    *http.Client
}

var errSpoolFull = errors.New("the spool is full")

// spool is a sink of segments, which a goroutine of its own posts.
type spool struct {
	hook   Webhook
	log    *slog.Logger
	limit  int64
	number int64 // of the open segment
	buffer       // of the open segment; without a file there is none
	size   int64 // of it
	kept   int64 // of those that are closed, as of the last look
	wake   chan struct{}
	cancel context.CancelFunc
	quit   chan struct{}
	done   chan struct{}
}

// ToWebhook posts an audit log, and goes on with what an earlier process left.
func ToWebhook(hook Webhook, log *slog.Logger) (*Log, error) {
	if hook.Client == nil {
		hook.Client = &http.Client{Timeout: postWithin}
	}
	if err := os.MkdirAll(hook.Spool, 0o700); err != nil {
		return nil, fmt.Errorf("audit log: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &spool{hook: hook, log: log, limit: SpoolBytes, wake: make(chan struct{}, 1), cancel: cancel, quit: make(chan struct{}), done: make(chan struct{})}
	err := s.closeLeft()
	names, size, serr := s.segments()
	if err = errors.Join(err, serr); err != nil {
		cancel()
		return nil, fmt.Errorf("audit log: %w", err)
	}
	if s.kept = size; len(names) > 0 {
		if _, err := fmt.Sscanf(names[len(names)-1], "%d.jsonl", &s.number); err != nil {
			cancel()
			return nil, fmt.Errorf("audit log: %s in %s is no segment", names[len(names)-1], hook.Spool)
		}
	}
	go s.send(ctx)
	return newLog(s, log), nil
}

// closeLeft closes the segment that a process which was killed left open, up to its last whole line.
func (s *spool) closeLeft() error {
	entries, err := os.ReadDir(s.hook.Spool)
	for _, e := range entries {
		name, ok := strings.CutSuffix(filepath.Join(s.hook.Spool, e.Name()), ".open")
		if !ok || err != nil {
			continue
		}
		var b []byte
		if b, err = os.ReadFile(name + ".open"); err != nil { //nolint:gosec // SegmentBytes and a line
			continue
		}
		n := int64(bytes.LastIndexByte(b, '\n') + 1)
		if n == 0 {
			err = os.Remove(name + ".open")
		} else if err = os.Truncate(name+".open", n); err == nil {
			err = os.Rename(name+".open", name+".jsonl")
		}
	}
	return err
}

// segments lists those that are closed, the oldest first.
func (s *spool) segments() (names []string, size int64, err error) {
	entries, err := os.ReadDir(s.hook.Spool)
	for _, e := range entries {
		info, ierr := e.Info()
		if ierr != nil || !strings.HasSuffix(e.Name(), ".jsonl") {
			continue
		}
		names, size = append(names, e.Name()), size+info.Size()
	}
	slices.Sort(names)
	return names, size, err
}

func (s *spool) path(suffix string) string {
	return filepath.Join(s.hook.Spool, fmt.Sprintf("%016d%s", s.number, suffix))
}

// Write begins a segment when there is none.
func (s *spool) Write(b []byte) (int, error) {
	if s.kept+s.size > s.limit {
		return 0, errSpoolFull
	}
	if s.size > 0 && s.size+int64(len(b)) > SegmentBytes { // receivers refuse what is longer than they take
		if err := s.seal(); err != nil {
			return 0, err
		}
	}
	if s.f == nil {
		s.number++
		f, err := os.OpenFile(s.path(".open"), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
		if err != nil {
			return 0, err
		}
		s.f, s.size = f, 0
	}
	n, err := s.buffer.Write(b)
	s.size += int64(n)
	return n, err
}

// Flush closes the segment, for it to be posted.
func (s *spool) Flush() error {
	err := s.seal()
	if s.kept > 0 {
		_, size, lerr := s.segments()
		s.kept = size
		err = errors.Join(err, lerr)
	}
	return err
}

// seal closes the segment, unless not all of it can be written yet.
func (s *spool) seal() error {
	if s.f == nil {
		return nil
	}
	if err := s.out(); err != nil {
		return err
	}
	err := errors.Join(s.f.Close(), os.Rename(s.path(".open"), s.path(".jsonl")))
	s.kept += s.size
	s.f, s.size = nil, 0
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return err
}

// Close leaves what was not posted yet to the next process.
func (s *spool) Close() (lost int, err error) {
	if err = s.seal(); s.f != nil {
		err = errors.Join(err, s.f.Close())
	}
	close(s.quit)
	// What is on its way may arrive, so that it is not sent twice.
	t := time.AfterFunc(closeWithin, s.cancel)
	<-s.done
	t.Stop()
	s.cancel()
	return s.left(), err
}

// send posts segments until ctx ends.
func (s *spool) send(ctx context.Context) {
	defer close(s.done)
	wait := time.Duration(0)
	for {
		select {
		case <-s.quit:
			return
		default:
		}
		posted, err := s.sendOldest(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			if wait == 0 {
				s.log.Warn("audit webhook; it is tried again", "err", err)
			}
			wait = min(max(2*wait, time.Second), maxRetryWait)
		case posted:
			wait = 0
			continue
		default:
			wait = maxRetryWait
		}
		t := time.NewTimer(wait)
		wake := s.wake
		if err != nil {
			wake = nil
		} else {
			wait = 0
		}
		select {
		case <-wake:
		case <-t.C:
		case <-s.quit:
		}
		t.Stop()
	}
}

func (s *spool) sendOldest(ctx context.Context) (bool, error) {
	names, _, err := s.segments()
	if err != nil || len(names) == 0 {
		return false, err
	}
	path := filepath.Join(s.hook.Spool, names[0])
	b, err := os.ReadFile(path) //nolint:gosec // SegmentBytes and a line
	if err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(ctx, postWithin)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.hook.URL, bytes.NewReader(b))
	if err != nil {
		return false, err
	}
	req.Header.Set("Content-Type", "application/x-ndjson")
	// Names of segments come again, after a restart and at other gateways.
	req.Header.Set("Idempotency-Key", fmt.Sprintf("%x", sha256.Sum256(b)))
	if s.hook.TokenFile != "" {
		token, err := os.ReadFile(s.hook.TokenFile)
		if err != nil {
			return false, err
		}
		req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	}
	resp, err := s.hook.Client.Do(req)
	if err != nil {
		if ue, ok := errors.AsType[*url.Error](err); ok {
			err = ue.Err // without the address, which may have a password or a token
		}
		return false, err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	if resp.StatusCode/100 != 2 {
		return false, fmt.Errorf("it answers %d", resp.StatusCode)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	return true, nil
}

// Command soak shows that nothing acknowledged is lost: it kills a server with SIGKILL at random instants under a
// mixed load, restarts it, and compares every object with a ledger of what the server had acknowledged.
//
// Fault model: the process dies between any two instructions; the kernel and the disks live, so what was written
// but not synced survives. Loss of unsynced writes is the business of the crash tests of node/extent over a fake
// file system. After a kill each key must hold the last acknowledged bytes or, if an operation on it had no
// answer, the whole of what that operation would have made; the listing must show the same keys; `weft admin
// check` must be clean; and the server's log must have no panic and no data race.
//
// The load depends on --seed, the instants of the kills do not.
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

type options struct {
	weft    string
	rounds  int
	workers int
	targets int
	seed    uint64
	longest time.Duration
}

func main() {
	var o options
	flag.StringVar(&o.weft, "weft", "bin/weft", "the server's binary")
	flag.IntVar(&o.rounds, "rounds", 100, "how often to kill it")
	flag.IntVar(&o.workers, "workers", 8, "concurrent clients")
	flag.IntVar(&o.targets, "targets", 4, "target directories")
	flag.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()), "of the load")
	flag.DurationVar(&o.longest, "longest", 3*time.Second, "the longest time from start to kill")
	flag.Parse()
	if err := run(context.Background(), o); err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	if err := os.MkdirAll(".cache", 0o750); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(".cache", "soak-")
	if err != nil {
		return err
	}
	dir, err = filepath.Abs(dir)
	if err != nil {
		return err
	}
	fmt.Printf("seed %d, %d rounds, %d workers, %s\n", o.seed, o.rounds, o.workers, dir)
	s, err := newServer(o.weft, dir, o.targets)
	if err != nil {
		return err
	}
	if err := soak(ctx, o, s); err != nil {
		if s.command != nil {
			_ = s.command.Process.Kill() // an error if it has ended already
		}
		return fmt.Errorf("%w (seed %d, kept %s)", err, o.seed, dir)
	}
	return os.RemoveAll(dir)
}

func soak(ctx context.Context, o options, s *server) error {
	client, err := minio.New(s.address, &minio.Options{
		Creds:      credentials.NewStaticV4(s.access, s.secret, ""),
		Region:     "us-east-1",
		Transport:  &http.Transport{MaxIdleConnsPerHost: o.workers, ResponseHeaderTimeout: time.Minute},
		MaxRetries: 1, // a retry would hide what was answered
	})
	if err != nil {
		return err
	}
	if err := s.start(ctx); err != nil {
		return err
	}
	if err := client.MakeBucket(ctx, bucket, minio.MakeBucketOptions{}); err != nil {
		return err
	}
	books := newLedger()
	for round := range o.rounds {
		began := time.Now()
		l := &load{client: client, ledger: books}
		wait := l.run(ctx, o.workers, uint64(round), o.seed)
		time.Sleep(rand.N(o.longest)) // the instant of the kill is the random input
		l.killed.Store(true)
		if err := s.kill(); err != nil {
			return err
		}
		if err := wait(); err != nil {
			return fmt.Errorf("round %d, before the kill: %w", round+1, err)
		}
		killed := time.Now()
		if err := s.start(ctx); err != nil {
			return fmt.Errorf("round %d: %w", round+1, err)
		}
		ready := time.Since(killed)
		last := round == o.rounds-1
		verified, err := verify(ctx, client, s, books, last || round%20 == 19)
		if err != nil {
			return fmt.Errorf("round %d: %w", round+1, err)
		}
		fmt.Printf("round %3d: %5d operations, ready after %4d ms, %4d objects compared, %v\n",
			round+1, l.count.Load(), ready.Milliseconds(), verified, time.Since(began).Round(time.Millisecond))
	}
	if err := s.stop(); err != nil {
		return fmt.Errorf("stop: %w", err)
	}
	return readLog(s)
}

// verify compares the server with the ledger; all: every key and every byte, else what the round touched and a
// sample.
func verify(ctx context.Context, client *minio.Client, s *server, books *ledger, all bool) (int, error) {
	keys := books.toVerify(all, 50)
	for _, key := range keys {
		stored, err := fetch(ctx, client, key)
		if err != nil {
			return 0, fmt.Errorf("read %s: %w", key, err)
		}
		if err := books.settle(key, func(want state) bool { return sameAs(want, stored) }); err != nil {
			return 0, err
		}
	}
	for upload := range client.ListIncompleteUploads(ctx, bucket, "", true) {
		if upload.Err != nil {
			return 0, upload.Err
		}
		if err := client.RemoveIncompleteUpload(ctx, bucket, upload.Key); err != nil {
			return 0, fmt.Errorf("abort %s: %w", upload.Key, err)
		}
	}
	var listed []string
	for object := range client.ListObjects(ctx, bucket, minio.ListObjectsOptions{Recursive: true}) {
		if object.Err != nil {
			return 0, object.Err
		}
		listed = append(listed, object.Key)
	}
	if want := books.present(); !slices.Equal(listed, want) {
		return 0, fmt.Errorf("the listing has %d keys, the ledger %d", len(listed), len(want))
	}
	return len(keys), s.check(ctx, all)
}

// readLog looks for what must never be in the server's log.
func readLog(s *server) error {
	log, err := os.ReadFile(s.log.Name())
	if err != nil {
		return err
	}
	for _, bad := range []string{"\npanic:", "\nfatal error:", "WARNING: DATA RACE", "level=ERROR"} {
		if i := bytes.Index(log, []byte(bad)); i >= 0 {
			return fmt.Errorf("the server's log has: %s", log[i:min(len(log), i+2000)])
		}
	}
	return nil
}

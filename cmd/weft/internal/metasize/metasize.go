// Package metasize measures how many bytes of metadata an object takes, in bbolt and in etcd: it puts objects of one
// part into an empty database and looks at the file. For etcd it reports the size as it grew, after a compaction, which
// drops old revisions and leaves free pages, and after a defragmentation, which gives those back. Every tenth object is
// then put again, to show what an overwrite takes until the next compaction.
//
// Main type: [Config].
package metasize

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weftstore/weft/erasure"
	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/metadata/boltkv"
)

// Config says what is measured.
type Config struct {
	Objects int64
	Clients int            // how many put at once
	Group   bool           // their puts are committed together
	Layout  erasure.Layout // it decides how many targets a record names
	JSON    bool           // a line of JSON for each figure
	Out     io.Writer
	// Progress is told every so often how many objects were put; nil: nobody is.
	Progress func(objects int64, took time.Duration)
}

const progressEvery = 250_000

// Figure is one line of the output.
type Figure struct {
	Engine    string  `json:"engine"`
	What      string  `json:"what"`
	Objects   int64   `json:"objects"`
	Bytes     int64   `json:"bytes"`
	PerObject float64 `json:"bytes_per_object"`
	Seconds   float64 `json:"seconds"`
}

func (o *Config) print(f Figure) {
	f.Objects, f.PerObject = o.Objects, float64(f.Bytes)/float64(o.Objects)
	if o.JSON {
		_ = json.NewEncoder(o.Out).Encode(f)
		return
	}
	fmt.Fprintf(o.Out, "%-5s %-36s %10d objects %14d bytes %8.1f bytes an object  %7.1f s\n", f.Engine, f.What, f.Objects, f.Bytes, f.PerObject, f.Seconds)
}

// Bolt measures bbolt, in a new database in a directory.
func Bolt(ctx context.Context, o *Config, dir string) error {
	path := filepath.Join(dir, "metadata.db")
	kv, err := boltkv.Open(path)
	if err != nil {
		return err
	}
	defer kv.Close()
	db, err := newDB(ctx, o, kv)
	if err != nil {
		return err
	}
	for _, step := range []struct {
		what  string
		every int64
	}{{"put", 1}, {"every tenth put again", 10}} {
		took, err := fill(ctx, o, db, step.every)
		if err != nil {
			return err
		}
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		o.print(Figure{Engine: "bolt", What: step.what, Bytes: info.Size(), Seconds: took.Seconds()})
	}
	return nil
}

const bucket = "data"

func newDB(ctx context.Context, o *Config, kv metadata.KV) (*metadata.DB, error) {
	if o.Group {
		kv = newGroup(ctx, kv, o.Clients)
	}
	db, err := metadata.New(kv, metadata.Options{})
	if err == nil {
		_, err = db.CreateBucket(ctx, bucket, "us-east-1")
	}
	return db, err
}

// fill puts every so many of the objects, in the order of a job that writes its shards side by side.
func fill(ctx context.Context, o *Config, db *metadata.DB, every int64) (time.Duration, error) {
	begin := time.Now()
	var next atomic.Int64
	var clients sync.WaitGroup
	errs := make(chan error, o.Clients)
	for range o.Clients {
		clients.Go(func() {
			for i := (next.Add(1) - 1) * every; i < o.Objects; i = (next.Add(1) - 1) * every {
				if o.Progress != nil && i/every%progressEvery == 0 {
					o.Progress(i, time.Since(begin))
				}
				if _, err := db.Put(ctx, bucket, object(db, o, i), metadata.Condition{}); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	clients.Wait()
	close(errs)
	return time.Since(begin), <-errs
}

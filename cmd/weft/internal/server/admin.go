package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"

	"github.com/weftstore/weft/store"
)

// SocketFile is the admin socket's name in the state directory.
const SocketFile = "admin.sock"

// AdminArgs are the arguments of every admin operation; each uses some.
type AdminArgs struct {
	Rate int64 `json:"rate,omitempty"` // bytes per second, 0 is no limit
	Deep bool  `json:"deep,omitempty"`
}

// adminLine is one line of an answer; exactly one field is set.
type adminLine struct {
	Progress *store.Progress `json:"progress,omitempty"`
	Result   json.RawMessage `json:"result,omitempty"`
	Error    string          `json:"error,omitempty"`
}

// adminOp runs one operation.
type adminOp func(ctx context.Context, a AdminArgs, report store.Report) (any, error)

func (s *Server) adminOps() map[string]adminOp {
	return map[string]adminOp{
		"status": func(ctx context.Context, _ AdminArgs, _ store.Report) (any, error) { return s.store.Status(ctx) },
		"usage":  func(ctx context.Context, _ AdminArgs, r store.Report) (any, error) { return s.store.Usage(ctx, r) },
		"scrub": func(ctx context.Context, a AdminArgs, r store.Report) (any, error) {
			return s.store.Scrub(ctx, store.ScrubOptions{BytesPerSecond: a.Rate}, r)
		},
		"repair": func(ctx context.Context, a AdminArgs, r store.Report) (any, error) {
			if err := s.formatReplaced(ctx); err != nil {
				return nil, err
			}
			return s.store.Repair(ctx, store.RepairOptions{BytesPerSecond: a.Rate}, r)
		},
		"check": func(ctx context.Context, a AdminArgs, r store.Report) (any, error) {
			return s.store.Check(ctx, store.CheckOptions{Deep: a.Deep}, r)
		},
		"snapshot": func(ctx context.Context, _ AdminArgs, _ store.Report) (any, error) {
			return struct{}{}, s.store.Snapshot(ctx)
		},
	}
}

// listenAdmin opens the socket in the state directory, for its owner alone.
func listenAdmin(state string) (net.Listener, error) {
	path := filepath.Join(state, SocketFile)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("admin socket: %w", err)
	}
	dir, short, err := shortPath(path)
	if err != nil {
		return nil, fmt.Errorf("admin socket: %w", err)
	}
	defer dir.Close()
	l, err := net.Listen("unix", short)
	if err != nil {
		return nil, fmt.Errorf("admin socket: %w", err)
	}
	// The name was only good while dir was open; the next start removes it.
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, fmt.Errorf("admin socket: %w", err)
	}
	return l, nil
}

// shortPath names path through an open directory: the path of a socket is at
// most 107 bytes (unix(7)), those of state directories are longer at times.
func shortPath(path string) (dir *os.File, short string, err error) {
	dir, err = os.Open(filepath.Dir(path))
	if err != nil {
		return nil, "", err
	}
	return dir, fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path)), nil
}

func (s *Server) adminHandler() http.Handler {
	ops := s.adminOps()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		op, ok := ops[r.URL.Path[1:]]
		if !ok || r.Method != http.MethodPost {
			http.NotFound(w, r)
			return
		}
		var args AdminArgs
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4096)).Decode(&args); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		out := adminWriter{enc: json.NewEncoder(w), rc: http.NewResponseController(w)}
		result, err := op(r.Context(), args, out.progress)
		out.finish(result, err)
	})
}

// adminWriter writes lines; operations may report from several goroutines, as
// rarely as store.Report says.
type adminWriter struct {
	mu  sync.Mutex
	enc *json.Encoder
	rc  *http.ResponseController
}

func (w *adminWriter) progress(p store.Progress) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.write(adminLine{Progress: &p})
}

func (w *adminWriter) finish(result any, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var line adminLine
	if err == nil {
		line.Result, err = json.Marshal(result)
	}
	if err != nil {
		line = adminLine{Error: err.Error()}
	}
	w.write(line)
}

func (w *adminWriter) write(line adminLine) {
	// A client that went away ends the operation through its context.
	_ = w.enc.Encode(line)
	_ = w.rc.Flush()
}

// AdminClient calls a running server.
type AdminClient struct {
	Socket string
}

// Do runs op and decodes its result into result. report may be nil.
func (c AdminClient) Do(ctx context.Context, op string, args AdminArgs, report store.Report, result any) error {
	body, err := json.Marshal(args)
	if err != nil {
		return err
	}
	hc := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			dir, short, err := shortPath(c.Socket)
			if err != nil {
				return nil, err
			}
			defer dir.Close()
			return new(net.Dialer).DialContext(ctx, "unix", short)
		},
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://weft/"+op, bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := hc.Do(req)
	if err != nil {
		return fmt.Errorf("no server answers at %s (is it running? does --state name its state directory?): %w", c.Socket, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: server answered %s", op, resp.Status)
	}
	dec := json.NewDecoder(resp.Body)
	for {
		var line adminLine
		if err := dec.Decode(&line); err != nil {
			return fmt.Errorf("%s: the server ended before it answered: %w", op, err)
		}
		switch {
		case line.Error != "":
			return fmt.Errorf("%s: %s", op, line.Error)
		case line.Result != nil:
			return json.Unmarshal(line.Result, result)
		case line.Progress != nil && report != nil:
			report(*line.Progress)
		}
	}
}

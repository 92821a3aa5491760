// Package adminsock is the admin protocol: HTTP on a Unix socket in the state
// directory, mode 0600. POST /OPERATION with Args as JSON is answered by lines of
// JSON, each {"progress":...}, the last {"result":...} or {"error":"..."}. Whoever may
// write to the socket may administer.
package adminsock

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
	"time"

	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/s3api/fair"
	"github.com/weftstore/weft/store"
)

// SocketFile is the socket's name in the state directory.
const SocketFile = "admin.sock"

// Args are the arguments of every operation; each uses some.
type Args struct {
	Rate     int64    `json:"rate,omitempty"` // bytes per second, 0 is no limit
	Deep     bool     `json:"deep,omitempty"`
	Takeover []string `json:"takeover,omitempty"` // who may have the targets of an added node
	Name     string   `json:"name,omitempty"`     // of a target or a node

	Identity *Identity `json:"identity,omitempty"`
	Quota    *Quota    `json:"quota,omitempty"`
}

// Quota are the arguments of the operation "quota"; without a bucket and an account it
// lists all of them.
type Quota struct {
	metadata.QuotaOf
	Limit metadata.Quota `json:"limit"`
}

// Identity are the arguments of the operation "identity".
type Identity struct {
	Op       string   `json:"op"`                 // "user create"
	Account  string   `json:"account,omitempty"`  // id or name; "" is the root account
	User     string   `json:"user,omitempty"`     // name
	Group    string   `json:"group,omitempty"`    // name
	Role     string   `json:"role,omitempty"`     // name
	Name     string   `json:"name,omitempty"`     // of an account or a policy; what a key is for
	Key      string   `json:"key,omitempty"`      // access key
	Document string   `json:"document,omitempty"` // policy
	URL      string   `json:"url,omitempty"`      // of an OpenID Connect provider
	Clients  []string `json:"clients,omitempty"`  // ids that its tokens are for
	// Longest session of a role; 0 is the default.
	Longest time.Duration `json:"longest,omitempty"`
	// Limits of an account or a key, and the weight of an account.
	Limits  fair.Rates `json:"limits,omitzero"`
	Weight  float64    `json:"weight,omitempty"`
	Expires time.Time  `json:"expires,omitzero"`
	On      bool       `json:"on,omitempty"` // member, attached, disabled
}

// maxArgs bounds them, encoded.
const maxArgs = 64 << 10

// line is one line of an answer; exactly one field is set.
type line struct {
	Progress *store.Progress `json:"progress,omitempty"`
	Result   json.RawMessage `json:"result,omitempty"`
	Error    string          `json:"error,omitempty"`
}

// Op runs one operation.
type Op func(ctx context.Context, a Args, report store.Report) (any, error)

// Listen opens the socket in the state directory, for its owner alone.
func Listen(state string) (net.Listener, error) {
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

// NewServer answers the operations, which end with ctx.
func NewServer(ctx context.Context, ops map[string]Op) *http.Server {
	return &http.Server{
		Handler: handler(ops), ReadHeaderTimeout: 10 * time.Second,
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
}

func handler(ops map[string]Op) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		op, ok := ops[r.URL.Path[1:]]
		if !ok || r.Method != http.MethodPost {
			http.NotFound(w, r)
			return
		}
		var args Args
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxArgs)).Decode(&args); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		out := lineWriter{enc: json.NewEncoder(w), rc: http.NewResponseController(w)}
		result, err := op(r.Context(), args, out.progress)
		out.finish(result, err)
	})
}

// lineWriter writes lines; operations may report from several goroutines, as
// rarely as store.Report says.
type lineWriter struct {
	mu  sync.Mutex
	enc *json.Encoder
	rc  *http.ResponseController
}

func (w *lineWriter) progress(p store.Progress) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.write(line{Progress: &p})
}

func (w *lineWriter) finish(result any, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var l line
	if err == nil {
		l.Result, err = json.Marshal(result)
	}
	if err != nil {
		l = line{Error: err.Error()}
	}
	w.write(l)
}

func (w *lineWriter) write(l line) {
	// A client that went away ends the operation through its context.
	_ = w.enc.Encode(l)
	_ = w.rc.Flush()
}

// Client calls a running process.
type Client struct {
	Socket string
}

// Do runs op and decodes its result into result. report may be nil.
func (c Client) Do(ctx context.Context, op string, args Args, report store.Report, result any) error {
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
		return fmt.Errorf("no weft process answers at %s (is it running? does --state name its state directory?): %w", c.Socket, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNotFound {
		return fmt.Errorf("%s: the process at %s does not know this: a storage node has `weft admin status` alone, name the state directory of the gateway",
			op, c.Socket)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: server answered %s", op, resp.Status)
	}
	dec := json.NewDecoder(resp.Body)
	for {
		var l line
		if err := dec.Decode(&l); err != nil {
			return fmt.Errorf("%s: the server ended before it answered: %w", op, err)
		}
		switch {
		case l.Error != "":
			return fmt.Errorf("%s: %s", op, l.Error)
		case l.Result != nil:
			return json.Unmarshal(l.Result, result)
		case l.Progress != nil && report != nil:
			report(*l.Progress)
		}
	}
}

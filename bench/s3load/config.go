package s3load

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Op is an operation to measure.
type Op string

// The operations. Each works on objects of every size in Config.Sizes, except OpList.
const (
	OpGet       Op = "get"       // whole objects, picked at random from the prepared ones
	OpHead      Op = "head"      // metadata of the same objects
	OpRange     Op = "range"     // Config.RangeSize bytes at a random unaligned offset
	OpPut       Op = "put"       // new objects, each under a key of its own
	OpDelete    Op = "delete"    // objects prepared, unmeasured, before each slice
	OpMultipart Op = "multipart" // whole uploads in parts of Config.PartSize
	OpList      Op = "list"      // all Config.Keys keys of a prefix, page by page
	OpMixed     Op = "mixed"     // get, put, head and delete in the proportions of Config.Mix
)

// Ops returns all operations.
func Ops() []Op {
	return []Op{OpGet, OpHead, OpRange, OpPut, OpDelete, OpMultipart, OpList, OpMixed}
}

// Endpoint is one server to measure.
type Endpoint struct {
	Name      string // short, for the report
	URL       string // http://host:port or https://host:port
	AccessKey string `json:"-"`
	SecretKey string `json:"-"`
	// CustomerKey has objects encrypted with it (SSE-C); nil: not. 32 bytes.
	CustomerKey []byte `json:"-"`
	PIDs        []int  // server processes on this machine whose CPU and memory are counted; empty: not counted
}

// Mix holds the weights of the operations in OpMixed; only their ratios matter.
type Mix struct {
	Get, Put, Head, Delete int
}

// Config says what to measure. Start from DefaultConfig.
type Config struct {
	Endpoints   []Endpoint
	Ops         []Op
	Region      string
	Bucket      string // created when absent, removed afterwards if this tool created it
	Sizes       []int64
	RangeSize   int64
	PartSize    int64 // multipart; also used to prepare objects larger than MaxSinglePut
	Concurrency int   // workers, one connection each
	Duration    time.Duration
	Warmup      time.Duration // an unmeasured slice before the first round of each case
	Rounds      int
	Objects     int // prepared per size
	Keys        int // for OpList
	Elsewhere   int // keys beside those that OpList lists, under another prefix
	PageSize    int // max-keys of OpList
	Mix         Mix
	Verify      int  // compare the bytes of every n-th read; 1: all, 0: none
	SignPayload bool // sign the SHA-256 of bodies instead of UNSIGNED-PAYLOAD
	Keep        bool // leave bucket and objects; prepared ones found are used again
	Sync        bool // sync(2) before every slice, so that no server pays for another's unwritten data
	Insecure    bool // accept any TLS certificate
	Timeout     time.Duration
	Seed        uint64 // of the choice of objects and offsets
	Commit      string // of the software under test, for the report
	Note        string // free text for the report
}

const (
	// MaxSinglePut is the largest object prepared with one PUT; larger ones go up in parts.
	MaxSinglePut = 64 << 20
	maxObject    = 50 << 40 // S3: largest object
	maxPart      = 5 << 30  // S3: largest part and single PUT
	maxParts     = 10000
)

// DefaultConfig returns what is measured unless told otherwise; endpoints and operations are empty.
func DefaultConfig() Config {
	return Config{
		Region: "us-east-1", Bucket: "weft-bench", Sizes: []int64{4 << 10, 1 << 20}, RangeSize: 64 << 10,
		PartSize: 16 << 20, Concurrency: 8, Duration: 5 * time.Second, Warmup: time.Second, Rounds: 3,
		Objects: 64, Keys: 10000, PageSize: 1000, Mix: Mix{Get: 60, Put: 25, Head: 10, Delete: 5},
		Verify: 16, Sync: true, Timeout: 30 * time.Second, Seed: 1,
	}
}

var (
	bucketName   = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
	endpointName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,30}$`)
)

// Validate returns every problem of the configuration, joined, or nil.
func (c *Config) Validate() error {
	var errs []error
	bad := func(wrong bool, format string, args ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	bad(len(c.Endpoints) == 0, "no endpoint")
	seen := map[string]bool{}
	for _, e := range c.Endpoints {
		bad(!endpointName.MatchString(e.Name), "endpoint name %q: want letters, digits, '.', '_', '-'", e.Name)
		bad(seen[e.Name], "endpoint name %q twice", e.Name)
		seen[e.Name] = true
		u, err := url.Parse(e.URL)
		bad(err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || strings.Trim(u.Path, "/") != "",
			"endpoint %s: %q is not http://host:port or https://host:port", e.Name, e.URL)
		bad(e.CustomerKey != nil && len(e.CustomerKey) != 32, "endpoint %s: a customer's key is 32 bytes in base64, not %d", e.Name, len(e.CustomerKey))
		bad(e.AccessKey == "" || e.SecretKey == "", "endpoint %s: no access key or no secret key", e.Name)
		for _, pid := range e.PIDs {
			bad(pid <= 0, "endpoint %s: pid %d", e.Name, pid)
		}
	}
	bad(len(c.Ops) == 0, "no operation")
	for _, op := range c.Ops {
		bad(!slices.Contains(Ops(), op), "unknown operation %q: want some of %v", op, Ops())
	}
	bad(!bucketName.MatchString(c.Bucket), "bucket name %q", c.Bucket)
	bad(c.Region == "", "no region")
	c.validateSizes(bad)
	bad(c.Concurrency < 1 || c.Concurrency > 10000, "concurrency %d: want 1 to 10000", c.Concurrency)
	bad(c.Duration <= 0, "duration %v: want more than 0", c.Duration)
	bad(c.Warmup < 0, "warm-up %v: want 0 or more", c.Warmup)
	bad(c.Rounds < 1, "rounds %d: want 1 or more", c.Rounds)
	bad(c.Objects < 1 || c.Objects > 1e8, "objects %d: want 1 to 100000000", c.Objects)
	bad(c.Keys < 1 || c.Keys > 1e8, "keys %d: want 1 to 100000000", c.Keys)
	bad(c.Elsewhere < 0 || c.Elsewhere > 1e8, "keys elsewhere %d: want 0 to 100000000", c.Elsewhere)
	bad(c.PageSize < 1 || c.PageSize > 1000, "page size %d: want 1 to 1000", c.PageSize)
	m := c.Mix
	bad(min(m.Get, m.Put, m.Head, m.Delete) < 0 || m.Get+m.Put+m.Head+m.Delete <= 0, "mix %+v: want weights of 0 or more, not all 0", m)
	bad(c.Verify < 0, "verify %d: want 0 or more", c.Verify)
	bad(c.Timeout <= 0, "timeout %v: want more than 0", c.Timeout)
	return errors.Join(errs...)
}

func (c *Config) validateSizes(bad func(bool, string, ...any)) {
	bad(len(c.Sizes) == 0, "no object size")
	bad(c.PartSize < 1 || c.PartSize > maxPart, "part size %d: want 1 to 5 GiB", c.PartSize)
	for _, n := range c.Sizes {
		bad(n < 0 || n > maxObject, "object size %d: want 0 to 50 TiB", n)
		for _, op := range c.Ops {
			bad(op == OpRange && (c.RangeSize < 1 || c.RangeSize > n),
				"range size %s: want 1 to the object size %s", FormatSize(c.RangeSize), FormatSize(n))
			bad((op == OpPut || op == OpMixed || op == OpDelete) && n > maxPart, "%s of %s: S3 allows 5 GiB in one PUT", op, FormatSize(n))
			bad(op == OpMultipart && n < 1, "multipart of %d bytes", n)
			bad((op == OpMultipart || n > MaxSinglePut) && c.PartSize > 0 && n/c.PartSize >= maxParts,
				"object size %s in parts of %s: more than %d parts", FormatSize(n), FormatSize(c.PartSize), maxParts)
		}
	}
}

var units = []struct {
	suffix string
	shift  uint
}{{"TiB", 40}, {"GiB", 30}, {"MiB", 20}, {"KiB", 10}}

// ParseSize parses a number of bytes: "4096", "4KiB", "1MiB", "1GiB", "2TiB"; a trailing "B" and
// powers of ten are not accepted, because 1 MB is two different things.
func ParseSize(s string) (int64, error) {
	digits, shift := s, uint(0)
	for _, u := range units {
		if d, ok := strings.CutSuffix(s, u.suffix); ok {
			digits, shift = d, u.shift
			break
		}
	}
	n, err := strconv.ParseUint(strings.TrimSpace(digits), 10, 63)
	if err != nil || n<<shift>>shift != n || n<<shift > 1<<62 {
		return 0, fmt.Errorf("size %q: want a number of bytes, KiB, MiB, GiB or TiB", s)
	}
	return int64(n << shift), nil
}

// FormatSize is the inverse of ParseSize.
func FormatSize(n int64) string {
	for _, u := range units {
		if n >= 1<<u.shift && n%(1<<u.shift) == 0 {
			return strconv.FormatInt(n>>u.shift, 10) + u.suffix
		}
	}
	return strconv.FormatInt(n, 10)
}

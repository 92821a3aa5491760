package bench

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/weftstore/weft/rdma"
)

const (
	magic      = "WFB1"
	headSize   = 8
	runSize    = 56
	resultSize = 40
	maxText    = 256
)

const (
	opPing     = 1
	opRun      = 2
	opCounters = 3
	opRails    = 4
)

// Limits of one run.
const (
	// MinBlock holds the two stamps.
	MinBlock = 16
	// MaxDepth bounds the transfers under way for one call.
	MaxDepth = 256
	// MaxTime bounds a run.
	MaxTime = time.Minute
	// MaxRuns bounds the runs that a Server has under way.
	MaxRuns = 64
)

// ErrRefused is returned when the other end would not do it, or is no `weft fabric serve`.
var ErrRefused = errors.New("refused by the other end")

// Verb is which way the bytes go.
type Verb uint8

// Verbs.
const (
	Push Verb = 1 // RDMA WRITE into the caller's memory: how reads of objects move
	Pull Verb = 2 // RDMA READ out of it: how writes of objects move
)

// String is "push" or "pull".
func (v Verb) String() string {
	if v == Push {
		return "push"
	}
	return "pull"
}

// MarshalText is String.
func (v Verb) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// head writes the first 8 bytes of a message.
func head(p []byte, op, detail byte) {
	clear(p[:headSize])
	copy(p, magic)
	p[4], p[5] = op, detail
}

// known tells op and detail of a message of this protocol.
func known(p []byte) (op, detail byte, ok bool) {
	if len(p) < headSize || string(p[:4]) != magic || p[6] != 0 || p[7] != 0 {
		return 0, 0, false
	}
	return p[4], p[5], true
}

// run is what a caller wants to be moved.
type run struct {
	verb      Verb
	depth     int
	block     int
	transfers uint64        // in all; 0: as many as fit in time
	time      time.Duration // when transfers is 0
	seed      uint64
	memory    rdma.Remote
}

func (r *run) encode(p []byte) int {
	le := binary.LittleEndian
	head(p, opRun, byte(r.verb))
	le.PutUint32(p[8:], uint32(r.depth))
	le.PutUint32(p[12:], uint32(r.block))
	le.PutUint64(p[16:], r.transfers)
	le.PutUint64(p[24:], uint64(r.time))
	le.PutUint64(p[32:], r.seed)
	le.PutUint64(p[40:], r.memory.Addr)
	le.PutUint32(p[48:], r.memory.RKey)
	le.PutUint32(p[52:], r.memory.Len)
	return runSize
}

func (r *run) decode(p []byte) error {
	if len(p) != runSize {
		return fmt.Errorf("run of %d bytes", len(p))
	}
	le := binary.LittleEndian
	depth, block, ns := le.Uint32(p[8:]), le.Uint32(p[12:]), le.Uint64(p[24:])
	*r = run{
		verb: Verb(p[5]), transfers: le.Uint64(p[16:]), seed: le.Uint64(p[32:]),
		memory: rdma.Remote{Addr: le.Uint64(p[40:]), RKey: le.Uint32(p[48:]), Len: le.Uint32(p[52:])},
	}
	switch {
	case r.verb != Push && r.verb != Pull:
		return fmt.Errorf("verb %d", p[5])
	case depth < 1 || depth > MaxDepth:
		return fmt.Errorf("depth %d is not in 1 to %d", depth, MaxDepth)
	case block < MinBlock || block > rdma.MaxBulk:
		return fmt.Errorf("block of %d bytes is not in %d to %d", block, MinBlock, rdma.MaxBulk)
	case ns > uint64(MaxTime):
		return fmt.Errorf("longer than %s", MaxTime)
	case uint64(depth)*uint64(block) != uint64(r.memory.Len) || r.memory.Addr+uint64(r.memory.Len) < r.memory.Addr:
		return errors.New("memory does not fit depth and block")
	}
	r.depth, r.block, r.time = int(depth), int(block), time.Duration(ns)
	return nil
}

// slot is the i-th block of the caller's memory.
func (r *run) slot(i int) rdma.Remote {
	return rdma.Remote{Addr: r.memory.Addr + uint64(i*r.block), RKey: r.memory.RKey, Len: uint32(r.block)}
}

// stamp is what the i-th block begins and ends with after n pushes.
func (r *run) stamp(i int, n uint64) uint64 { return r.seed + uint64(i)<<32 + n }

// moved is what a run came to.
type moved struct {
	transfers, bytes uint64
	time             time.Duration
	mismatches       uint64
}

func (m *moved) encode(p []byte) int {
	le := binary.LittleEndian
	head(p, opRun, 0)
	le.PutUint64(p[8:], m.transfers)
	le.PutUint64(p[16:], m.bytes)
	le.PutUint64(p[24:], uint64(m.time))
	le.PutUint64(p[32:], m.mismatches)
	return resultSize
}

func (m *moved) decode(p []byte) error {
	if len(p) != resultSize {
		return fmt.Errorf("%w: result of %d bytes", ErrRefused, len(p))
	}
	le := binary.LittleEndian
	ns := le.Uint64(p[24:])
	if ns > uint64(2*MaxTime) {
		return fmt.Errorf("%w: it took longer than a run may", ErrRefused)
	}
	*m = moved{le.Uint64(p[8:]), le.Uint64(p[16:]), time.Duration(ns), le.Uint64(p[32:])}
	return nil
}

// refuse writes an error as a reply.
func refuse(p []byte, op byte, err error) int {
	head(p, op, 1)
	text := strings.ToValidUTF8(err.Error(), "?")
	return headSize + copy(p[headSize:headSize+maxText], text)
}

// answer checks that p is a good reply to op.
func answer(p []byte, op byte) error {
	got, detail, ok := known(p)
	switch {
	case !ok || got != op:
		return fmt.Errorf("%w: it does not run `weft fabric serve`", ErrRefused)
	case detail != 0:
		return fmt.Errorf("%w: %s", ErrRefused, printable(string(p[headSize:min(len(p), headSize+maxText)])))
	}
	return nil
}

// printable is text of the other end that a terminal may see.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}

// reply writes v as JSON.
func reply(p []byte, op byte, v any) int {
	head(p, op, 0)
	b, err := json.Marshal(v)
	if err == nil && len(b) > len(p)-headSize {
		err = errors.New("too much for one message")
	}
	if err != nil {
		return refuse(p, op, err)
	}
	return headSize + copy(p[headSize:], b)
}

// ask has a request without a body answered with JSON.
func ask(ctx context.Context, conn rdma.Conn, op byte, v any) error {
	var req [headSize]byte
	head(req[:], op, 0)
	rep := make([]byte, rdma.MaxMessage)
	n, err := conn.Call(ctx, req[:], rep)
	if err != nil {
		return err
	}
	if err := answer(rep[:n], op); err != nil {
		return err
	}
	return json.Unmarshal(rep[headSize:n], v)
}

// stamp marks both ends of a block.
func stamp(p []byte, v uint64) {
	binary.LittleEndian.PutUint64(p, v)
	binary.LittleEndian.PutUint64(p[len(p)-8:], v)
}

// stamped reads it; false when the ends differ.
func stamped(p []byte) (uint64, bool) {
	v := binary.LittleEndian.Uint64(p)
	return v, v == binary.LittleEndian.Uint64(p[len(p)-8:])
}

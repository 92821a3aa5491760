package rdma

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
)

// lives is how many handles a block has. Each hand-out takes the next one, so a
// stale handle is recognised until its block was handed out that often again.
const lives = 4

// poison fills released blocks when Pool.Poison is on.
const poison = 0xDB

// Pool hands out equal blocks of one registered region and makes those wait who
// want more than is left: all the bulk memory of a process is admitted here.
//
// Waiting is first come, first served: a large request is not overtaken by small
// ones. The block released last is handed out first, so that few blocks stay hot
// in the processor's caches. Safe for concurrent use.
type Pool struct {
	region Region
	block  int
	slots  []slot
	poison atomic.Bool

	mu        sync.Mutex
	free      []int32 // stack of slot indexes
	waiters   waiterQueue
	highWater int
	closed    bool
}

// slot is one block of memory. Its handles take turns.
type slot struct {
	generation uint64
	handles    [lives]Block
}

// Block is a handle on one block of memory from a Pool. It belongs to whoever
// acquired it until Release.
type Block struct {
	pool       *Pool
	bytes      []byte
	index      int32
	live       atomic.Bool
	generation uint64
}

// PoolStats describe a pool, in blocks.
type PoolStats struct {
	BlockSize int // bytes
	Blocks    int // in total
	InUse     int
	Waiting   int // requests that wait
	HighWater int // most blocks ever in use at once
}

// NewPool registers total bytes with t and cuts them into blocks of block bytes;
// what is left over is not used. Blocks are aligned as far as block is.
func NewPool(t Transport, total, block int) (*Pool, error) {
	if block <= 0 || total < block {
		return nil, fmt.Errorf("new pool: %d bytes in blocks of %d", total, block)
	}
	n := total / block
	region, err := t.Register(n * block)
	if err != nil {
		return nil, fmt.Errorf("new pool: %w", err)
	}
	p := &Pool{region: region, block: block, slots: make([]slot, n), free: make([]int32, n)}
	memory := region.Bytes()
	for i := range p.slots {
		for j := range p.slots[i].handles {
			b := &p.slots[i].handles[j]
			b.pool, b.index = p, int32(i)
			b.bytes = memory[i*block : (i+1)*block : (i+1)*block]
		}
		p.free[n-1-i] = int32(i) // the first block is on top
	}
	return p, nil
}

// BlockSize is the size of each block in bytes.
func (p *Pool) BlockSize() int { return p.block }

// Poison makes Release overwrite blocks with 0xDB, for tests.
func (p *Pool) Poison(on bool) { p.poison.Store(on) }

// Get hands out one block and does not allocate unless it must wait. Its errors
// are those of Acquire.
func (p *Pool) Get(ctx context.Context) (*Block, error) {
	p.mu.Lock()
	if p.readyLocked(1) {
		b := p.takeLocked()
		p.mu.Unlock()
		return b, nil
	}
	blocks, err := p.waitLocked(ctx, 1)
	if err != nil {
		return nil, err
	}
	return blocks[0], nil
}

// Acquire hands out n blocks or none. It waits its turn until ctx ends. The slice
// is the caller's. ErrNoMemory (and ctx's error) when ctx ends first, ErrNoMemory
// at once when the pool is smaller than n blocks, ErrClosed.
func (p *Pool) Acquire(ctx context.Context, n int) ([]*Block, error) {
	p.mu.Lock()
	if p.readyLocked(n) {
		blocks := p.takeManyLocked(n)
		p.mu.Unlock()
		return blocks, nil
	}
	return p.waitLocked(ctx, n)
}

// TryAcquire is Acquire for those who would not wait: false when fewer than n
// blocks are free or somebody waits already.
func (p *Pool) TryAcquire(n int) ([]*Block, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.readyLocked(n) {
		return nil, false
	}
	return p.takeManyLocked(n), true
}

// Stats describe the pool now.
func (p *Pool) Stats() PoolStats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return PoolStats{
		BlockSize: p.block, Blocks: len(p.slots), InUse: len(p.slots) - len(p.free),
		Waiting: p.waiters.n, HighWater: p.highWater,
	}
}

// Close unregisters the memory. Who waits gets ErrClosed. With blocks handed out
// it is an error and the memory stays registered: call it again later.
func (p *Pool) Close() error {
	p.mu.Lock()
	p.closed = true
	for w := p.waiters.head; w != nil; w = p.waiters.head {
		p.waiters.remove(w)
		close(w.ready) // without blocks: closed
	}
	inUse := len(p.slots) - len(p.free)
	p.mu.Unlock()
	if inUse > 0 {
		return fmt.Errorf("close pool: %d blocks are in use", inUse)
	}
	return p.region.Close()
}

// readyLocked says whether n blocks can be had without overtaking anybody.
func (p *Pool) readyLocked(n int) bool {
	return !p.closed && p.waiters.head == nil && n <= len(p.free)
}

func (p *Pool) takeLocked() *Block {
	top := len(p.free) - 1
	s := &p.slots[p.free[top]]
	p.free = p.free[:top]
	p.highWater = max(p.highWater, len(p.slots)-top)
	s.generation++
	b := &s.handles[s.generation%lives]
	b.generation = s.generation
	b.live.Store(true)
	return b
}

func (p *Pool) takeManyLocked(n int) []*Block {
	blocks := make([]*Block, max(n, 0))
	for i := range blocks {
		blocks[i] = p.takeLocked()
	}
	return blocks
}

// waitLocked queues a request. It unlocks p.mu.
func (p *Pool) waitLocked(ctx context.Context, n int) ([]*Block, error) {
	if p.closed {
		p.mu.Unlock()
		return nil, fmt.Errorf("acquire %d blocks: %w", n, ErrClosed)
	}
	if n > len(p.slots) {
		p.mu.Unlock()
		return nil, fmt.Errorf("acquire %d blocks of %d: %w", n, len(p.slots), ErrNoMemory)
	}
	w := &waiter{n: n, ready: make(chan struct{})}
	p.waiters.push(w)
	p.mu.Unlock()

	select {
	case <-w.ready:
	case <-ctx.Done():
		p.mu.Lock()
		queued := w.queued
		if queued {
			p.waiters.remove(w)
			p.serveLocked() // those behind may fit where this one did not
		}
		p.mu.Unlock()
		if queued {
			return nil, fmt.Errorf("acquire %d blocks: %w: %w", n, ErrNoMemory, ctx.Err())
		}
		<-w.ready // served in the meantime: the blocks are ours
	}
	if w.blocks == nil {
		return nil, fmt.Errorf("acquire %d blocks: %w", n, ErrClosed)
	}
	return w.blocks, nil
}

// serveLocked hands free blocks to those who wait, in order.
func (p *Pool) serveLocked() {
	for w := p.waiters.head; w != nil && w.n <= len(p.free); w = p.waiters.head {
		p.waiters.remove(w)
		w.blocks = p.takeManyLocked(w.n)
		close(w.ready)
	}
}

// Bytes is the block's memory, BlockSize long, valid until Release. It panics
// after Release.
func (b *Block) Bytes() []byte {
	b.mustLive("use")
	return b.bytes
}

// Remote names n bytes of the block from off for the other end. It panics when
// the range is outside the block, as slicing does, and after Release.
func (b *Block) Remote(off, n int) Remote {
	b.mustLive("use")
	_ = b.bytes[off : off+n]
	return b.pool.region.Remote(int(b.index)*b.pool.block+off, n)
}

// Release gives the block back. No transfer may be under way in it. Releasing it
// twice panics.
func (b *Block) Release() {
	if !b.live.CompareAndSwap(true, false) {
		panic(errReleased("release"))
	}
	p := b.pool
	if p.poison.Load() {
		fill(b.bytes, poison)
	}
	p.mu.Lock()
	p.free = append(p.free, b.index)
	p.serveLocked()
	p.mu.Unlock()
}

// Generation numbers the hand-outs of this block's memory, from 1.
func (b *Block) Generation() uint64 { return b.generation }

func (b *Block) mustLive(verb string) {
	if !b.live.Load() {
		panic(errReleased(verb))
	}
}

func errReleased(verb string) error {
	return errors.New("rdma: " + verb + " of a block after its release")
}

func fill(p []byte, v byte) {
	for i := range p {
		p[i] = v
	}
}

// waiter is a request that waits. blocks is set before ready is closed.
type waiter struct {
	n          int
	ready      chan struct{}
	blocks     []*Block
	queued     bool
	next, prev *waiter
}

// waiterQueue is a list, first come first.
type waiterQueue struct {
	head, tail *waiter
	n          int
}

func (q *waiterQueue) push(w *waiter) {
	w.queued, w.prev = true, q.tail
	if q.tail == nil {
		q.head = w
	} else {
		q.tail.next = w
	}
	q.tail = w
	q.n++
}

func (q *waiterQueue) remove(w *waiter) {
	if w.prev == nil {
		q.head = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		q.tail = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.next, w.prev, w.queued = nil, nil, false
	q.n--
}

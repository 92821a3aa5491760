package member

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.etcd.io/etcd/client/v3"

	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/store"
)

const (
	answerHead = 8 + 8 + 8
	setLen     = len(metadata.SetID{})
	// maxSets bounds an answer, with room to etcd's limit of 1.5 MiB on a request. Who
	// has more open does not answer until it is less, and nothing is collected.
	maxSets = 60_000
)

// Answer has the member answer questions with what report gives, a func that is quick.
func (m *Member) Answer(report func() (busy []metadata.SetID, changes uint64, clock int64)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.report = report
}

// answerAll answers until ctx ends. In each new term the question that is there is
// answered too, and whenever the watch had to begin anew.
func (m *Member) answerAll(ctx context.Context) {
	for ctx.Err() == nil {
		t, err := m.await(ctx)
		if err != nil {
			return
		}
		if err := m.answerIn(t); err != nil && t.ctx.Err() == nil {
			m.log.Warn("questions of the leader are not answered", "err", err)
			m.pause(ctx, m.ttl/10)
		}
	}
}

func (m *Member) answerIn(t *term) error {
	call, cancel := context.WithTimeout(t.ctx, m.ttl)
	defer cancel()
	key := m.prefix + keyAsk
	resp, err := m.client.Get(call, key)
	if err != nil {
		return err
	}
	if len(resp.Kvs) > 0 {
		if err := m.answer(t, resp.Kvs[0].ModRevision); err != nil {
			return err
		}
	}
	watch, end := context.WithCancel(clientv3.WithRequireLeader(t.ctx))
	defer end()
	for ev := range m.client.Watch(watch, key, clientv3.WithRev(resp.Header.Revision+1)) {
		if err := ev.Err(); err != nil {
			return err
		}
		if n := len(ev.Events); n > 0 {
			if err := m.answer(t, ev.Events[n-1].Kv.ModRevision); err != nil {
				return err
			}
		}
	}
	return t.ctx.Err()
}

func (m *Member) answer(t *term, question int64) error {
	m.mu.Lock()
	report := m.report
	m.mu.Unlock()
	busy, changes, clock := report()
	if len(busy) > maxSets {
		return fmt.Errorf("%d chunk sets are open, at most %d can be told", len(busy), maxSets)
	}
	call, cancel := context.WithTimeout(t.ctx, m.ttl)
	defer cancel()
	_, err := m.client.Put(call, m.prefix+keyAnswer+t.id, string(encodeAnswer(question, changes, clock, busy)), clientv3.WithLease(t.lease))
	return err
}

// encodeAnswer: three numbers of 8 bytes, little-endian, and the sets.
func encodeAnswer(question int64, changes uint64, clock int64, busy []metadata.SetID) []byte {
	b := binary.LittleEndian.AppendUint64(make([]byte, 0, answerHead+len(busy)*setLen), uint64(question))
	b = binary.LittleEndian.AppendUint64(b, changes)
	b = binary.LittleEndian.AppendUint64(b, uint64(clock))
	for _, set := range busy {
		b = append(b, set[:]...)
	}
	return b
}

var errAnswer = errors.New("answer of a member cannot be read")

func decodeAnswer(b []byte) (question int64, changes uint64, clock int64, busy []metadata.SetID, err error) {
	if len(b) < answerHead || (len(b)-answerHead)%setLen != 0 {
		return 0, 0, 0, nil, fmt.Errorf("%d bytes: %w", len(b), errAnswer)
	}
	question, changes = int64(binary.LittleEndian.Uint64(b)), binary.LittleEndian.Uint64(b[8:])
	clock = int64(binary.LittleEndian.Uint64(b[16:]))
	for b = b[answerHead:]; len(b) > 0; b = b[setLen:] {
		busy = append(busy, metadata.SetID(b[:setLen]))
	}
	return question, changes, clock, busy, nil
}

// Ask is store.Peers': it puts a question to all gateways and waits for the answers,
// two times to live at most.
func (m *Member) Ask(ctx context.Context) (*store.PeerReport, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*m.ttl)
	defer cancel()
	t := m.term()
	if t == nil {
		return nil, metadata.ErrFenced
	}
	put, err := m.client.Put(ctx, m.prefix+keyAsk, t.id)
	if err != nil {
		return nil, fmt.Errorf("ask the other gateways: %w", err)
	}
	question := put.Header.Revision
	// Watched from the question on, so that nothing is missed after a look.
	events := m.client.Watch(clientv3.WithRequireLeader(ctx), m.prefix+"c/", clientv3.WithPrefix(), clientv3.WithRev(question+1))
	for {
		r, waiting, err := m.answers(ctx, t, question)
		if err != nil {
			return nil, fmt.Errorf("answers of the other gateways: %w", err)
		}
		if len(waiting) == 0 {
			return r, nil
		}
		select {
		case ev, ok := <-events:
			if err := ev.Err(); err != nil {
				return nil, fmt.Errorf("answers of the other gateways: %w", err)
			}
			if ok {
				continue
			}
		case <-ctx.Done():
		}
		return nil, fmt.Errorf("gateways do not answer: %s: %w", strings.Join(waiting, ", "), context.Cause(ctx))
	}
}

// answers looks at what has been answered, and who has not.
func (m *Member) answers(ctx context.Context, self *term, question int64) (*store.PeerReport, []string, error) {
	members, prefix := m.prefix+keyMember, m.prefix+keyAnswer
	resp, err := m.client.Txn(ctx).Then(clientv3.OpGet(members, clientv3.WithPrefix()), clientv3.OpGet(prefix, clientv3.WithPrefix())).Commit()
	if err != nil {
		return nil, nil, err
	}
	given := map[string][]byte{}
	for _, kv := range resp.Responses[1].GetResponseRange().Kvs {
		given[strings.TrimPrefix(string(kv.Key), prefix)] = kv.Value
	}
	r := &store.PeerReport{Busy: map[metadata.SetID]bool{}}
	var changes, waiting []string
	for _, kv := range resp.Responses[0].GetResponseRange().Kvs {
		id := strings.TrimPrefix(string(kv.Key), members)
		var info Info
		if err := json.Unmarshal(kv.Value, &info); err != nil {
			return nil, nil, fmt.Errorf("member %s: %w", id, err)
		}
		if info.Kind != Gateway || id == self.id {
			continue
		}
		// Who came after the question opened nothing before it, but for what it had open
		// in an earlier term; so it is waited for as well.
		raw, ok := given[id]
		if !ok {
			waiting = append(waiting, info.Name)
			continue
		}
		n, changed, clock, busy, err := decodeAnswer(raw)
		if err != nil {
			return nil, nil, fmt.Errorf("member %s: %w", id, err)
		}
		if n < question {
			waiting = append(waiting, info.Name)
			continue
		}
		for _, set := range busy {
			r.Busy[set] = true
		}
		if r.Clock == 0 || clock < r.Clock {
			r.Clock = clock
		}
		changes = append(changes, id+":"+hex.EncodeToString(binary.BigEndian.AppendUint64(nil, changed)))
	}
	slices.Sort(changes)
	r.Changes = strings.Join(changes, " ")
	return r, waiting, nil
}

var _ store.Peers = (*Member)(nil)

// TTL is how long a member that is not heard of counts.
func (m *Member) TTL() time.Duration { return m.ttl }

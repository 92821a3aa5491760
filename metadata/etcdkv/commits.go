package etcdkv

import (
	"context"

	"go.etcd.io/etcd/client/v3"
)

// Bounds of commits that are sent together.
const (
	maxCommits   = 16
	maxCommitOps = 64 // comparisons, or operations, of one of them
	groupBytes   = 512 << 10
	opBytes      = 128 // what an operation takes beside keys and values, and the prefix of what it writes
)

// commit is a transaction of etcd, and what it touches. Keys are without DB.data, spans
// with it.
type commit struct {
	op     clientv3.Op
	reads  map[string]int64
	spans  []span
	writes []string
	size   int  // bytes of the request, at most
	alone  bool // too much to be sent with others

	resp *clientv3.TxnResponse // when its round is done
}

// commits are transactions of one request: each is nested in it, with comparisons of its own,
// so that one may be refused and the others are not. etcd compares for all of them before it
// writes for any. As none writes what another reads or writes, this is as if they came one
// after the other, in any order.
type commits struct {
	list          []*commit
	size          int
	reads, writes map[string]struct{}
	spans         []span

	err error
}

// add takes c along if nothing that is there touches what it touches.
func (s *commits) add(data string, c *commit) bool {
	if len(s.list) > 0 && (len(s.list) == maxCommits || s.size+c.size > groupBytes || s.touches(data, c)) {
		return false
	}
	if s.list == nil {
		s.reads, s.writes = map[string]struct{}{}, map[string]struct{}{}
	}
	s.list = append(s.list, c)
	s.size += c.size
	for k := range c.reads {
		s.reads[k] = struct{}{}
	}
	for _, k := range c.writes {
		s.writes[k] = struct{}{}
	}
	s.spans = append(s.spans, c.spans...)
	return true
}

// touches says that one of s and c writes what the other reads or writes.
func (s *commits) touches(data string, c *commit) bool {
	for k := range c.reads {
		if _, ok := s.writes[k]; ok {
			return true
		}
	}
	for _, k := range c.writes {
		_, read := s.reads[k]
		_, written := s.writes[k]
		if read || written || within(s.spans, data+k) {
			return true
		}
	}
	for k := range s.writes {
		if within(c.spans, data+k) {
			return true
		}
	}
	return false
}

// within says that key, with DB.data, is in one of spans.
func within(spans []span, key string) bool {
	for _, s := range spans {
		if s.from <= key && key < s.to {
			return true
		}
	}
	return false
}

// sendCommit sends c, with others unless it is large. It returns when the answer is there,
// whatever becomes of those who asked for it.
func (d *DB) sendCommit(c *commit) (*clientv3.TxnResponse, error) {
	if c.alone {
		s := commits{list: []*commit{c}}
		d.sendCommits(&s)
		return c.resp, s.err
	}
	round := d.commits.join(func(s *commits) bool { return s.add(d.data, c) }, d.sendCommits)
	<-round.done
	return c.resp, round.what.err
}

func (d *DB) sendCommits(s *commits) {
	op := s.list[0].op
	if len(s.list) > 1 {
		ops := make([]clientv3.Op, len(s.list))
		for i, c := range s.list {
			ops[i] = c.op
		}
		op = clientv3.OpTxn(nil, ops, nil)
	}
	var resp clientv3.OpResponse
	if resp, s.err = d.do(context.Background(), op); s.err != nil {
		return
	}
	if len(s.list) == 1 {
		s.list[0].resp = resp.Txn()
		return
	}
	for i, c := range s.list {
		c.resp = (*clientv3.TxnResponse)(resp.Txn().Responses[i].GetResponseTxn())
		c.resp.Header = resp.Txn().Header // a nested answer has none
	}
}

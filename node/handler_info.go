package node

import (
	"encoding/binary"
	"fmt"

	"github.com/weftstore/weft/erasure"
	"github.com/weftstore/weft/node/extent"
)

// status answers with as many target records as fit.
func (o *op) status(rep []byte) (int, error) {
	order := o.s.targets.Load().order
	first := int(min(o.q.value, uint64(len(order))))
	n, count := replySize, 0
	for _, t := range order[first:] {
		s := t.status(o.s.writers)
		size := s.put(rep[n:])
		if size == 0 {
			break
		}
		n, count = n+size, count+1
	}
	putReply(rep, statusOK, count, first+count < len(order))
	return n, nil
}

func (o *op) identify(rep []byte) int {
	id := &o.s.cfg.Identity
	n := replySize
	n += copy(rep[n:], id.Deployment[:])
	return n + copy(rep[n:], id.Name)
}

func (o *op) format(rep []byte) (int, error) {
	done, err := o.s.formatKnown(o.t)
	if err != nil {
		return 0, err
	}
	rep[replySize] = 0
	if done {
		rep[replySize] = 1
	}
	return replySize + 1, nil
}

func (o *op) checksums(rep []byte) (int, error) {
	if o.q.off%erasure.Unit != 0 || o.q.value > maxReplyCRCs*erasure.Unit {
		return 0, invalid("checksums of %d bytes at %d", o.q.value, o.q.off)
	}
	crcs, err := o.x.b.CRCs(o.ctx, o.q.id, o.q.off, int64(o.q.value))
	if err != nil {
		return 0, err
	}
	if len(crcs) != erasure.Units(int64(o.q.value)) {
		return 0, fmt.Errorf("%w: %d checksums of %d bytes", extent.ErrCorrupt, len(crcs), o.q.value)
	}
	for i, c := range crcs {
		binary.LittleEndian.PutUint64(rep[replySize+8*i:], c)
	}
	putReply(rep, statusOK, len(crcs), false)
	return replySize + 8*len(crcs), nil
}

func (o *op) info(rep []byte) (int, error) {
	var info extent.Info
	var meta []byte
	var err error
	if o.q.op == opStat {
		info, err = o.x.b.Stat(o.q.id)
	} else {
		info, meta, err = o.x.b.Meta(o.ctx, o.q.id)
	}
	if err != nil {
		return 0, err
	}
	if len(meta) > extent.MaxMeta {
		return 0, fmt.Errorf("%w: %d bytes of meta", extent.ErrCorrupt, len(meta))
	}
	putInfo(rep[replySize:], &info)
	return replySize + infoSize + copy(rep[replySize+infoSize:], meta), nil
}

func (o *op) list(rep []byte) (int, error) {
	limit := int(min(o.q.value, maxReplyInfos))
	var after *extent.ID
	switch len(o.q.body) {
	case 0:
	case idSize:
		id := getID(o.q.body)
		after = &id
	default:
		return 0, protocolError("list after %d bytes", len(o.q.body))
	}
	if limit == 0 {
		return replySize, nil
	}
	infos, err := o.x.b.List(o.ctx, after, limit)
	if err != nil {
		return 0, err
	}
	infos = infos[:min(len(infos), limit)]
	for i := range infos {
		putInfo(rep[replySize+i*infoSize:], &infos[i])
	}
	more := len(infos) == limit && o.q.value > uint64(limit)
	putReply(rep, statusOK, len(infos), more)
	return replySize + infoSize*len(infos), nil
}

func (o *op) delete() error {
	if len(o.q.body) == 0 || len(o.q.body)%idSize != 0 {
		return protocolError("delete of %d bytes", len(o.q.body))
	}
	ids := make([]extent.ID, len(o.q.body)/idSize)
	for i := range ids {
		ids[i] = getID(o.q.body[i*idSize:])
	}
	return o.x.b.Delete(o.ctx, ids)
}

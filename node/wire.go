package node

import (
	"encoding/binary"
	"math"

	"github.com/weftstore/weft/erasure"
	"github.com/weftstore/weft/internal/tracing"
	"github.com/weftstore/weft/node/extent"
	"github.com/weftstore/weft/rdma"
)

// Sizes of the protocol, see the package comment.
const (
	wireVersion   = 1
	requestSize   = 88
	replySize     = 8
	idSize        = 17
	infoSize      = 40
	usageSize     = 64
	recordSize    = 168
	maxMessage    = 256                         // error text
	maxDir        = 1024                        // directory in a status
	maxName       = 255                         // name of a node
	maxTargets    = 4096                        // of a node
	flagMore      = 1                           // in replies
	flagTrace     = 1                           // in requests
	maxUnits      = rdma.MaxBulk / erasure.Unit // CRCs with one transfer
	maxReplyCRCs  = (rdma.MaxMessage - replySize) / 8
	maxReplyInfos = (rdma.MaxMessage - replySize) / infoSize
	maxDeleteIDs  = (rdma.MaxMessage - requestSize) / idSize
)

// opcode is what a request asks for.
type opcode uint8

const (
	opStatus opcode = iota + 1
	opAppend
	opCreate
	opWrite
	opCommit
	opAbort
	opRead
	opCRCs
	opStat
	opMeta
	opList
	opDelete
	opVerify
	opCompact
	opUsage
	opCheckpoint
	opIdentify
	opFormat
	opEnd
)

// uses are the request fields that an operation may set.
type uses uint8

const (
	useTarget uses = 1 << iota
	useID
	useOff
	useRemote
	useValue
	useCRCs
	useBody
)

// operations describes each opcode.
var operations = [opEnd]struct {
	name    string
	uses    uses
	maxBody int
}{
	opStatus:     {"status", useValue, 0},
	opAppend:     {"append", useTarget | useID | useRemote | useCRCs | useBody, extent.MaxMeta},
	opCreate:     {"create", useTarget | useID | useValue, 0},
	opWrite:      {"write", useTarget | useOff | useRemote | useCRCs | useValue, 0},
	opCommit:     {"commit", useTarget | useValue | useBody, extent.MaxMeta},
	opAbort:      {"abort", useTarget | useValue, 0},
	opRead:       {"read", useTarget | useID | useOff | useRemote, 0},
	opCRCs:       {"crcs", useTarget | useID | useOff | useValue, 0},
	opStat:       {"stat", useTarget | useID, 0},
	opMeta:       {"meta", useTarget | useID, 0},
	opList:       {"list", useTarget | useValue | useBody, idSize},
	opDelete:     {"delete", useTarget | useBody, maxDeleteIDs * idSize},
	opVerify:     {"verify", useTarget | useID, 0},
	opCompact:    {"compact", useTarget | useValue, 0},
	opUsage:      {"usage", useTarget, 0},
	opCheckpoint: {"checkpoint", useTarget, 0},
	opIdentify:   {"identify", 0, 0},
	opFormat:     {"format", useTarget, 0},
}

// spanNames are what the operations are called in traces.
var spanNames = func() (names [opEnd]string) {
	for op := range operations {
		names[op] = "node." + operations[op].name
	}
	return names
}()

// String is the operation's name for people.
func (o opcode) String() string {
	if o == 0 || o >= opEnd {
		return "unknown operation"
	}
	return operations[o].name
}

// request is a decoded request. crcs and body point into the message.
type request struct {
	op     opcode
	target TargetUUID
	id     extent.ID
	off    int64
	remote rdma.Remote
	value  uint64
	crcs   []byte // 8 bytes each
	body   []byte
	trace  tracing.Context // the caller's span; zero: none
}

// encode writes the header into p and returns its length; crcs and body are
// appended by the caller with appendCRCs and copy, in this order.
func (q *request) encode(p []byte, crcs []uint64, body []byte) (int, error) {
	size := requestSize + 8*len(crcs) + len(body)
	if len(crcs) > maxUnits || len(body) > operations[q.op].maxBody || size > len(p) {
		return 0, protocolError("%s with %d checksums and %d bytes", q.op, len(crcs), len(body))
	}
	le := binary.LittleEndian
	clear(p[:requestSize])
	p[0], p[1] = byte(q.op), wireVersion
	copy(p[8:24], q.target[:])
	copy(p[24:40], q.id.Set[:])
	p[40] = q.id.Index
	le.PutUint64(p[48:], uint64(q.off))
	le.PutUint64(p[56:], q.remote.Addr)
	le.PutUint32(p[64:], q.remote.RKey)
	le.PutUint32(p[68:], q.remote.Len)
	le.PutUint64(p[72:], q.value)
	le.PutUint32(p[80:], uint32(len(crcs)))
	le.PutUint32(p[84:], uint32(len(body)))
	n := requestSize
	for _, c := range crcs {
		le.PutUint64(p[n:], c)
		n += 8
	}
	n += copy(p[n:], body)
	if q.trace.Valid() && n+tracing.ContextSize <= len(p) {
		p[2] = flagTrace
		n += copy(p[n:], q.trace[:])
	}
	return n, nil
}

// decode reads a request. It allocates nothing and refuses every message that
// encode would not make.
func (q *request) decode(p []byte) error {
	if len(p) < requestSize || len(p) > rdma.MaxMessage {
		return protocolError("request of %d bytes", len(p))
	}
	if p[1] != wireVersion {
		return protocolError("version %d", p[1])
	}
	q.op = opcode(p[0])
	if q.op == 0 || q.op >= opEnd {
		return protocolError("operation %d", p[0])
	}
	le := binary.LittleEndian
	q.target = TargetUUID(p[8:24])
	q.id = extent.ID{Set: extent.SetID(p[24:40]), Index: p[40]}
	off := le.Uint64(p[48:])
	q.remote = rdma.Remote{Addr: le.Uint64(p[56:]), RKey: le.Uint32(p[64:]), Len: le.Uint32(p[68:])}
	q.value = le.Uint64(p[72:])
	crcs, body := uint64(le.Uint32(p[80:])), uint64(le.Uint32(p[84:]))
	if p[2]&^flagTrace != 0 || !zero(p[3:8]) || !zero(p[41:48]) || off > math.MaxInt64 {
		return protocolError("%s: bad header", q.op)
	}
	q.off = int64(off)
	q.trace = tracing.Context{}
	if p[2] == flagTrace {
		if len(p) < requestSize+tracing.ContextSize {
			return protocolError("%s: trace context of %d bytes", q.op, len(p)-requestSize)
		}
		q.trace = tracing.Context(p[len(p)-tracing.ContextSize:])
		if p = p[:len(p)-tracing.ContextSize]; !q.trace.Valid() {
			return protocolError("%s: empty trace context", q.op)
		}
	}
	op := &operations[q.op]
	if crcs > maxUnits || body > uint64(op.maxBody) || requestSize+8*crcs+body != uint64(len(p)) {
		return protocolError("%s with %d checksums and %d bytes in %d", q.op, crcs, body, len(p))
	}
	q.crcs = p[requestSize : requestSize+8*crcs]
	q.body = p[requestSize+8*crcs:]
	if set := q.set(); set&^op.uses != 0 {
		return protocolError("%s: unused fields set (%#x)", q.op, set&^op.uses)
	}
	return nil
}

// set is which fields are not zero.
func (q *request) set() uses {
	var u uses
	for _, f := range [...]struct {
		bit uses
		set bool
	}{
		{useTarget, q.target != TargetUUID{}},
		{useID, q.id != extent.ID{}},
		{useOff, q.off != 0},
		{useRemote, q.remote != rdma.Remote{}},
		{useValue, q.value != 0},
		{useCRCs, len(q.crcs) != 0},
		{useBody, len(q.body) != 0},
	} {
		if f.set {
			u |= f.bit
		}
	}
	return u
}

// reply is a decoded reply. body points into the message.
type reply struct {
	status status
	more   bool
	count  int
	body   []byte
}

// putReply writes a reply's header.
func putReply(p []byte, s status, count int, more bool) {
	p[0], p[1], p[2], p[3] = byte(s), wireVersion, 0, 0
	if more {
		p[2] = flagMore
	}
	binary.LittleEndian.PutUint32(p[4:], uint32(count))
}

// putError writes a failed reply and returns its length.
func putError(p []byte, err error) int {
	putReply(p, statusOf(err), 0, false)
	return replySize + copy(p[replySize:], truncate(err.Error(), maxMessage))
}

// decode reads a reply's header; the body is checked by who knows its kind.
func (r *reply) decode(p []byte) error {
	if len(p) < replySize || len(p) > rdma.MaxMessage {
		return protocolError("reply of %d bytes", len(p))
	}
	if p[1] != wireVersion || p[2]&^flagMore != 0 || p[3] != 0 {
		return protocolError("bad reply header")
	}
	r.status, r.more = status(p[0]), p[2]&flagMore != 0
	count := binary.LittleEndian.Uint32(p[4:])
	r.body = p[replySize:]
	if r.status == statusOK && uint64(count) > uint64(len(r.body)) {
		return protocolError("reply of %d bytes counts %d", len(p), count)
	}
	if r.status != statusOK && (len(r.body) > maxMessage || count != 0 || r.more) {
		return protocolError("bad error reply")
	}
	r.count = int(count)
	return nil
}

func zero(p []byte) bool {
	for _, b := range p {
		if b != 0 {
			return false
		}
	}
	return true
}

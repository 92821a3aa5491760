package verbs

// The structures of shim.h as Go sees them. shim.go checks their sizes and offsets at compile time.

// Opcodes of a send queue.
const (
	OpWrite    uint32 = 0 // RDMA WRITE
	OpWriteImm uint32 = 1 // RDMA WRITE that completes a receive at the peer with Imm
	OpSend     uint32 = 2
	OpSendImm  uint32 = 3
	OpRead     uint32 = 4 // RDMA READ
)

// Flags of a send work request.
const (
	FlagFence     uint32 = 1 // wait for the READs before it
	FlagSignaled  uint32 = 2 // complete on the CQ also when it succeeds
	FlagSolicited uint32 = 4
)

// SendWR is one work request of a send queue. Imm is in host order here and at the receiver.
type SendWR struct {
	ID     uint64 // comes back in the completion; below 1<<63
	Addr   uint64 // local memory, registered with LKey
	Remote uint64 // for WRITE and READ
	Len    uint32 // bytes; 0 names no memory
	LKey   uint32
	RKey   uint32
	Imm    uint32
	Op     uint32
	Flags  uint32
}

// RecvWR is one work request of a receive queue.
type RecvWR struct {
	ID   uint64 // below 1<<63
	Addr uint64
	Len  uint32
	LKey uint32
}

// Completion is one entry of a CQ. Unless Status is Success only ID, Status, QPN and Vendor mean anything.
type Completion struct {
	ID     uint64
	Status Status
	Op     int32  // WCSend and the like
	Bytes  uint32 // received or read
	Imm    uint32 // if Flags has WCWithImm
	QPN    uint32
	Flags  uint32
	Vendor uint32 // the vendor's code of the error
	_      uint32
}

// Opcodes and flags of a completion.
const (
	WCSend    int32 = 0
	WCWrite   int32 = 1
	WCRead    int32 = 2
	WCRecv    int32 = 128
	WCRecvImm int32 = 129 // a WRITE with immediate data arrived

	WCWithImm uint32 = 2
)

type deviceInfo struct {
	name, firmware                         [64]byte
	nodeGUID, maxMRSize                    uint64
	nodeType, transport, ports, vectors    int32
	maxQP, maxQPWR, maxSGE, maxCQE, maxMR  int32
	maxRDAtom, maxInitRDAtom, reservedZero int32
}

type portInfo struct{ state, mtu, lid, linkLayer int32 }

type qpCaps struct{ send, recv, inline, qpn uint32 }

type cmAddr struct {
	ip     [16]byte
	scope  uint32
	family uint16
	port   uint16
}

type cmConn struct {
	private                             [256]byte
	privateLen                          uint32
	responder, initiator, retry, rnrTry uint8
}

type cmEvent struct {
	id     handle // of a connection request, C's memory
	typ    int32
	status int32
	conn   cmConn
}

type asyncEvent struct {
	typ  int32
	port uint32
	qpn  uint32
}

package node

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/weftstore/weft/node/extent"
	"github.com/weftstore/weft/rdma"
)

// Errors of a node beside those of package extent.
var (
	// ErrIO: the file system beneath the target failed. The target is in trouble,
	// not the chunk.
	ErrIO = errors.New("target I/O error")
	// ErrUnknownTarget: the node does not have this target.
	ErrUnknownTarget = errors.New("unknown target")
	// ErrBusy: the node has too many writers open. Try later or elsewhere.
	ErrBusy = errors.New("node busy")
	// ErrProtocol: a message that the other end does not understand.
	ErrProtocol = errors.New("fabric protocol error")
)

// errForeign: the directory holds another target than it should.
var errForeign = fmt.Errorf("another target is in the directory: %w", extent.ErrOffline)

// ErrInUse says that another process serves the directory.
var ErrInUse = fmt.Errorf("another process serves it: stop that one: %w", extent.ErrOffline)

// status is the first byte of a reply.
type status uint8

const (
	statusOK status = iota
	statusNotFound
	statusCorrupt
	statusExists
	statusFull
	statusFenced
	statusOffline
	statusInvalid
	statusIO
	statusUnknownTarget
	statusBusy
	statusProtocol
	statusCanceled
	statusDeadline
	statusTransfer
)

// sentinels pairs status codes with errors, in the order in which an error that
// wraps several is recognised.
var sentinels = [...]struct {
	code status
	err  error
}{
	{statusTransfer, rdma.ErrRemote},
	{statusTransfer, rdma.ErrTooLarge},
	{statusTransfer, rdma.ErrPeer},
	{statusTransfer, rdma.ErrClosed},
	{statusNotFound, extent.ErrNotFound},
	{statusCorrupt, extent.ErrCorrupt},
	{statusExists, extent.ErrExists},
	{statusFull, extent.ErrFull},
	{statusFenced, extent.ErrFenced},
	{statusOffline, extent.ErrOffline},
	{statusInvalid, extent.ErrInvalid},
	{statusUnknownTarget, ErrUnknownTarget},
	{statusBusy, ErrBusy},
	{statusProtocol, ErrProtocol},
	{statusCanceled, context.Canceled},
	{statusDeadline, context.DeadlineExceeded},
}

// statusOf classifies an error. What is not known is an I/O error.
func statusOf(err error) status {
	if err == nil {
		return statusOK
	}
	for _, s := range sentinels {
		if errors.Is(err, s.err) {
			return s.code
		}
	}
	return statusIO
}

// sentinel is the error that a status stands for at the client.
func (s status) sentinel() error {
	for _, e := range sentinels {
		if e.code == s {
			return e.err
		}
	}
	if s == statusIO {
		return ErrIO
	}
	return ErrProtocol
}

// RemoteError is an error that a node answered. errors.Is finds the sentinel it
// stands for.
type RemoteError struct {
	Op      string // such as "append"
	Message string // from the node, at most 256 bytes, not trusted
	code    status
}

// Error is the operation and the node's message.
func (e *RemoteError) Error() string {
	if e.Message == "" {
		return e.Op + ": " + e.code.sentinel().Error()
	}
	return e.Op + ": " + e.Message
}

// Unwrap is the sentinel.
func (e *RemoteError) Unwrap() error { return e.code.sentinel() }

// remoteError makes the error of a failed reply, whose message may be anything.
func remoteError(op opcode, code status, message []byte) error {
	text := strings.ToValidUTF8(string(message), "?")
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, text)
	return &RemoteError{Op: op.String(), Message: text, code: code}
}

// truncate cuts s to n bytes at a rune.
func truncate(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

func protocolError(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrProtocol, fmt.Sprintf(format, args...))
}

package verbs

import (
	"errors"
	"fmt"
	"syscall"
)

// Errors of use. All others are [*Error], [*RejectError] or [Status].
var (
	// ErrClosed: the object was closed, or a QP is being drained.
	ErrClosed = errors.New("verbs object closed")
	// ErrBusy: Close of an object that others still use, or of a QP that was not drained.
	ErrBusy = errors.New("verbs object in use")
)

// Error is a verb that failed.
type Error struct {
	Op   string // such as "register memory"
	Name string // the device, address or object
	Err  error  // a syscall.Errno
	Hint string // what to do about it, or ""
}

func (e *Error) Error() string {
	text := "verbs: " + e.Op
	if e.Name != "" {
		text += " " + e.Name
	}
	text += ": " + e.Err.Error()
	if e.Hint != "" {
		text += " (" + e.Hint + ")"
	}
	return text
}

func (e *Error) Unwrap() error { return e.Err }

// failed makes an error of the shim's return value, nil unless it is negative.
func failed(rc int, op, name, hint string) error {
	if rc >= 0 {
		return nil
	}
	return &Error{Op: op, Name: name, Err: syscall.Errno(-rc), Hint: hint}
}

func used(op, name string, err error) error { return fmt.Errorf("verbs: %s %s: %w", op, name, err) }

// RejectError is a connection that the other end refused.
type RejectError struct {
	Reason  int    // of the InfiniBand CM, or an errno below zero
	Private []byte // what Reject was given, padded with zeros to a length of the transport's choice
}

// Reasons of a RejectError that are met in practice.
const (
	RejectNoListener = 8  // nobody listens at the port
	RejectConsumer   = 28 // Reject was called
)

func (e *RejectError) Error() string {
	switch e.Reason {
	case RejectNoListener, -int(syscall.ECONNREFUSED):
		return "verbs: connection rejected: nobody listens at this address and port"
	case RejectConsumer:
		return "verbs: connection rejected by the other end"
	}
	return fmt.Sprintf("verbs: connection rejected, reason %d", e.Reason)
}

// text is the string in a buffer that C has filled.
func text(p []byte) string {
	for i, c := range p {
		if c == 0 {
			return string(p[:i])
		}
	}
	return string(p)
}

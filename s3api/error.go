package s3api

import (
	"context"
	"errors"

	"github.com/weftstore/weft/kms"
	"github.com/weftstore/weft/metadata"
	"github.com/weftstore/weft/s3api/fair"
	"github.com/weftstore/weft/s3api/sigv4"
	"github.com/weftstore/weft/store"
)

// Error is an S3 error as the client sees it. Values are immutable; two are the
// same to errors.Is when their codes are.
type Error struct {
	Code    string
	Status  int
	Message string
	Extra   []Field // further elements of the document, in order
}

// Field is an element of an error document beside the usual ones.
type Field struct{ Name, Value string }

// Error returns code and message.
func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Is compares codes.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// with returns a copy with another element.
func (e *Error) with(name, value string) *Error {
	c := *e
	c.Extra = append(c.Extra[:len(c.Extra):len(c.Extra)], Field{name, value})
	return &c
}

// saying returns a copy with another message.
func (e *Error) saying(message string) *Error {
	c := *e
	c.Message = message
	return &c
}

// badArgument is InvalidArgument with the name and value that AWS shows.
func badArgument(name, value, message string) *Error {
	return errInvalidArgument.saying(message).with("ArgumentName", name).with("ArgumentValue", clip(value))
}

// clip bounds what an error repeats of the client's words.
func clip(s string) string { return s[:min(len(s), 256)] }

// errorOf translates what the packages below return. nil means that there is
// nobody left to answer: the client went away.
func errorOf(ctx context.Context, err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	if e, ok := errors.AsType[*sigv4.Error](err); ok {
		out := &Error{Code: e.Code, Status: e.Status, Message: e.Message}
		for _, f := range e.Fields {
			out.Extra = append(out.Extra, Field{f.Name, f.Value})
		}
		return out
	}
	for _, row := range translations {
		if errors.Is(err, row.from) {
			return row.to
		}
	}
	if ctx.Err() != nil && errors.Is(ctx.Err(), context.Canceled) {
		return nil
	}
	return errInternal
}

// translations are tried in order. InsufficientStorage is no code of AWS's: SDKs
// retry a 5xx a few times and then give up with its name in front of the user.
var translations = [...]struct {
	from error
	to   *Error
}{
	{metadata.ErrNoSuchBucket, errNoSuchBucket},
	{metadata.ErrNoSuchVersion, errNoSuchVersion},
	{metadata.ErrNoSuchKey, errNoSuchKey},
	{metadata.ErrNoSuchUpload, errNoSuchUpload},
	{metadata.ErrPrecondition, errPreconditionFailed},
	{metadata.ErrInvalidPartOrder, errInvalidPartOrder},
	{metadata.ErrInvalidPart, errInvalidPart},
	{metadata.ErrPartTooSmall, errEntityTooSmall},
	{metadata.ErrBucketExists, errBucketAlreadyOwnedByYou},
	{metadata.ErrBucketNotEmpty, errBucketNotEmpty},
	{metadata.ErrTooManyBuckets, errTooManyBuckets},
	{metadata.ErrLocked, errObjectLocked},
	{metadata.ErrNotVersioned, errInvalidBucketState.saying("Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration")},
	{metadata.ErrVersioned, errInvalidBucketState.saying("Objects of a bucket in which versioning is or was enabled can neither be renamed nor appended to.")},
	{metadata.ErrTokenReused, errIdempotencyMismatch},
	{metadata.ErrQuota, errQuotaExceeded},
	{metadata.ErrOutboxFull, errSlowDown.saying("Events of this bucket wait for a destination that is away, and there is no room for more.")},
	{metadata.ErrOvertaken, errServiceUnavailable}, // what decided about access is out of date
	{metadata.ErrStale, errConditionalRequestConflict},
	{metadata.ErrReplaced, errServiceUnavailable},
	{store.ErrBusy, errSlowDown},
	{fair.ErrRate, errSlowDown},
	{store.ErrFull, errInsufficientStorage},
	{store.ErrUnavailable, errServiceUnavailable},
	{metadata.ErrUnavailable, errServiceUnavailable},
	{metadata.ErrUnknown, errServiceUnavailable},
	{metadata.ErrFenced, errServiceUnavailable},
	{store.ErrTooManyParts, errTooManyParts},
	{store.ErrShortBody, errIncompleteBody},
	{store.ErrClosed, errServiceUnavailable},
	{metadata.ErrInvalidKey, errInvalidArgument},
	{kms.ErrNoKey, errKMSNotFound},
	{kms.ErrUnavailable, errServiceUnavailable},
	{context.DeadlineExceeded, errServiceUnavailable},
}

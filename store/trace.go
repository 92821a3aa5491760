package store

import (
	"context"
	"errors"

	"github.com/weftstore/weft/internal/tracing"
)

// spanMetadataCommit is in traces the transaction that makes a write visible.
const spanMetadataCommit = "metadata.commit"

// endSpan ends the span of a step that err ended.
func endSpan(span tracing.Span, err error) {
	if err != nil && span.Recorded() {
		code := "failed"
		for _, known := range []error{ErrBusy, ErrFull, ErrUnavailable, ErrDamaged, ErrClosed, context.Canceled, context.DeadlineExceeded} {
			if errors.Is(err, known) {
				code = known.Error()
				break
			}
		}
		span.Fail(code)
	}
	span.End()
}

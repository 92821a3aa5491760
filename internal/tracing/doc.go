// Package tracing makes spans of OpenTelemetry along the path of a request: through
// the gateway, the store, the fabric and the nodes. It knows the interface of
// OpenTelemetry and no exporter, which cmd/weft makes.
//
// A context has a span or has none. Where it has none, because tracing is off or
// the request was not chosen, Start and Call return it as it is and a Span that
// does nothing, and allocate nothing.
//
// Spans say which operation it was, on which bucket and target, how long it took,
// how many bytes it moved and how it ended. They have no keys of objects, no
// credentials, signatures, tokens or memory keys, and no texts of errors, which may
// quote such things: callers give codes.
//
// A request makes at most maxRepeated spans for what it does once a stripe or
// segment, so that objects of terabytes do not fill the exporter's queue.
//
// All types are safe for concurrent use.
package tracing

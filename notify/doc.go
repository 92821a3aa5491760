// Package notify tells other services of changes to objects: S3's bucket notifications.
//
// A [Notifier] is the metadata's outbox: for each change it looks at the bucket's [Config]
// and writes an event for each destination that wants it, in the transaction of the
// change. So an event is durable when its request is answered, there is none of a change that
// did not happen, and a crash loses none. [Notifier.Run] takes the events of each
// destination from its queue, in order, and removes them when the destination has them: each
// is delivered at least once, and the events of a key in the order of its changes. While a
// destination is away its queue grows up to [MaxQueue]; then changes that it wants to
// hear of fail with metadata.ErrOutboxFull.
//
// Destinations are a webhook (HTTP POST), a subject of NATS (with JetStream if asked for),
// and a topic of Kafka (keyed by bucket and key). A [Sender] is one. Addresses may hold
// credentials: they are never logged.
//
// A Notifier is safe for concurrent use; Run is called once.
package notify

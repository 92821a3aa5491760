// Package metrics shows a Weft process to Prometheus: what the fabric, the pools,
// the targets, the store and the S3 front end count, as text at /metrics.
//
// A process makes one Set, tells it of the parts that it has, and serves it:
//
//	m := metrics.New(version)
//	m.Fabric(transport.Wires)               // or metrics.One(transport)
//	m.Pool("bulk", pools[0])
//	m.Pool("small", pools[1])
//	m.Targets(client.Status)                // or a function over service.Status
//	config.Events = m.StoreEvents(events)   // before store.New
//	m.Store(store)                          // after it
//	api.Events.Access = m.Access(access)    // before s3api.New
//	go m.Serve(ctx, addr, log)              // until ctx ends; or mount m.Handler()
//
// Every part may be left out; each may be told once. What stands behind the
// functions is asked at each scrape, what costs a walk of the metadata at most every
// StatusEvery. A part that cannot answer is missing from the scrape, and
// weft_collector_up says so; the rest is there.
//
// Labels never hold what a client sends: operations are names of s3api's route
// table, targets are those that the operator configured. So the number of
// series is bounded by the configuration. No secret is ever a label or a value.
//
// docs/METRICS.md lists every metric; a test keeps it true to the code.
//
// A Set is safe for concurrent use once its parts were told.
package metrics

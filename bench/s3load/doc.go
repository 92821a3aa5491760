// Package s3load drives S3 endpoints with load and measures them: throughput, latency, time to first
// byte, and the CPU time and memory of the server processes when their ids are known.
//
// It is built for comparing servers on one machine. Several endpoints are driven in one run, in short
// slices one after the other, repeated in rounds whose order alternates, so that whatever else the
// machine does hits all of them alike; ratios are formed within a round and then summarised. The
// client is a minimal HTTP/1.1 one (see conn) because client and server share the machine's cores:
// what the client spends, the server cannot. Every request is signed (Signature Version 4) at the time
// it is sent.
//
// Object content is a function of key and offset (see content), so any range of any object that was
// read can be compared without keeping a copy; a wrong byte is counted apart from other errors and
// makes Run fail with ErrWrongBytes.
//
// It is not a conformance test, and not a general S3 client: path-style addressing, one connection a
// worker, no redirects.
//
// Main types: Config says what to do, Run does it, Document is what comes out, WriteText prints it.
// A Run owns all its goroutines and ends them before it returns. Nothing here reads the environment.
package s3load

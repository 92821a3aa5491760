// Package verbs is a thin binding of libibverbs and librdmacm: reliable-connected queue pairs that rdma_cm sets up.
// It has no protocol, no buffers and no goroutines of its own. It is the only package of this module with cgo.
//
// # Libraries
//
// Nothing is linked. [Load] opens libibverbs.so.1 and librdmacm.so.1 with dlopen, so one binary runs on hosts with and
// without them; every function that needs them calls it. Their headers are not needed to build either: abi.h declares
// the fixed ABI, and abi_check.c compares it with the system's headers at compile time where these are installed.
// Built without cgo the package has the same API and Load says so.
//
// # Lifetimes
//
//	Device (context + protection domain)
//	├── MR             registered memory, mapped by the caller
//	├── CQ             completion queue with a completion channel
//	│   └── QP         queue pair; lives on an ID
//	ID (rdma_cm identifier with an event channel of its own)
//	    └── QP
//	Listener → ID
//
// Close goes from the leaves up. Closing a parent first is [ErrBusy] and changes nothing. Close is idempotent, every
// other use of a closed object is [ErrClosed]. A QP is closed after [QP.Drain], which takes it to the error state and
// waits until all its completions have been polled: until then a work request may touch its memory and will be
// reported. The CQ must be polled by someone meanwhile. The most significant bit of a work request's ID belongs to
// this package, which finds the end of the queues with it.
//
// An MR may be closed under way: the device then refuses what still refers to it. Unmap the memory after MR.Close.
//
// # Concurrency
//
// All methods are safe for concurrent use, except that a CQ is polled by one goroutine at a time and one goroutine waits for the
// events of an ID, a Listener or a Device (others queue behind it, and a context ends both waits).
// No thread ever blocks in C: completion channels, event channels and device events are non-blocking descriptors
// that Go's netpoller watches. [CQ.Poll] may spin in C, at most [MaxSpin].
//
// # Memory
//
// C keeps no Go pointer and calls no Go function. Slices of work requests and completions are lent for one call and hold
// numbers only. What is registered must be mapped by the caller (mmap), never be of the Go heap.
// Forking is safe: os/exec shares the address space until exec, so no page becomes copy-on-write.
//
// # Errors
//
// [*Error] names operation, object and errno, and what to do about it where that is known; errors.Is compares the
// errno. Failed work requests are completions with a [Status]. Memory keys are never part of an error.
//
// How the functions of the libraries fail. Those of a row go through the same macro of table.h, and the shim returns
// a negative errno for all.
//
//	macro       convention                          functions (the manual page has the function's name)
//	WV_ERRNO    returns errno, or -1 and errno      ibv_query_device, ibv_query_port, ibv_query_qp, ibv_modify_qp,
//	                                                ibv_post_send, ibv_post_recv, ibv_req_notify_cq, ibv_dereg_mr,
//	                                                ibv_dealloc_pd, ibv_destroy_cq, ibv_destroy_comp_channel
//	WV_MINUS1   returns -1, sets errno              ibv_get_async_event, ibv_get_cq_event, ibv_close_device, rdma_*
//	WV_NULL     returns NULL, sets errno            ibv_get_device_list, ibv_open_device, ibv_alloc_pd, ibv_reg_mr,
//	                                                ibv_create_comp_channel, ibv_create_cq, rdma_get_devices,
//	                                                rdma_create_event_channel
//	WV_COUNT    returns a count, negative: no errno ibv_poll_cq
//
// ibv_poll_cq, ibv_req_notify_cq, ibv_post_send and ibv_post_recv are inline functions of the header, which call through
// the operations of the context; ibv_query_port is a macro there, the exported function of that name is called here.
package verbs

//go:build linux && cgo

package verbs

/*
#cgo LDFLAGS: -ldl
#cgo CFLAGS: -std=gnu11 -O2 -Wall
#include <stdlib.h>
#include "shim.h"

#cgo noescape wv_cq_poll
#cgo nocallback wv_cq_poll
#cgo noescape wv_cq_arm
#cgo nocallback wv_cq_arm
#cgo noescape wv_post_send
#cgo nocallback wv_post_send
#cgo noescape wv_post_recv
#cgo nocallback wv_post_recv
*/
import "C"

import "unsafe"

// handle is an object of a library: memory of C.
type handle = unsafe.Pointer

// The mirrors of wire.go have the layout of shim.h: an array of negative or other length does not compile.
var (
	_ = [1]struct{}{}[unsafe.Sizeof(SendWR{})-unsafe.Sizeof(C.struct_wv_send{})]
	_ = [1]struct{}{}[unsafe.Offsetof(SendWR{}.Flags)-unsafe.Offsetof(C.struct_wv_send{}.flags)]
	_ = [1]struct{}{}[unsafe.Offsetof(SendWR{}.RKey)-unsafe.Offsetof(C.struct_wv_send{}.rkey)]
	_ = [1]struct{}{}[unsafe.Sizeof(RecvWR{})-unsafe.Sizeof(C.struct_wv_recv{})]
	_ = [1]struct{}{}[unsafe.Offsetof(RecvWR{}.LKey)-unsafe.Offsetof(C.struct_wv_recv{}.lkey)]
	_ = [1]struct{}{}[unsafe.Sizeof(Completion{})-unsafe.Sizeof(C.struct_wv_completion{})]
	_ = [1]struct{}{}[unsafe.Offsetof(Completion{}.Imm)-unsafe.Offsetof(C.struct_wv_completion{}.imm)]
	_ = [1]struct{}{}[unsafe.Offsetof(Completion{}.Vendor)-unsafe.Offsetof(C.struct_wv_completion{}.vendor)]
	_ = [1]struct{}{}[unsafe.Sizeof(deviceInfo{})-unsafe.Sizeof(C.struct_wv_device_info{})]
	_ = [1]struct{}{}[unsafe.Offsetof(deviceInfo{}.maxInitRDAtom)-unsafe.Offsetof(C.struct_wv_device_info{}.max_init_rd_atom)]
	_ = [1]struct{}{}[unsafe.Sizeof(portInfo{})-unsafe.Sizeof(C.struct_wv_port_info{})]
	_ = [1]struct{}{}[unsafe.Sizeof(qpCaps{})-unsafe.Sizeof(C.struct_wv_qp_caps{})]
	_ = [1]struct{}{}[unsafe.Sizeof(cmAddr{})-unsafe.Sizeof(C.struct_wv_addr{})]
	_ = [1]struct{}{}[unsafe.Sizeof(cmConn{})-unsafe.Sizeof(C.struct_wv_conn{})]
	_ = [1]struct{}{}[unsafe.Sizeof(cmEvent{})-unsafe.Sizeof(C.struct_wv_cm_event{})]
	_ = [1]struct{}{}[unsafe.Sizeof(asyncEvent{})-unsafe.Sizeof(C.struct_wv_async{})]
)

// loadLibraries is 0, -1 (a library lacks) or -2 (a symbol lacks), with the loader's words.
func loadLibraries(verbs, cm string) (int, string) {
	v, c := C.CString(verbs), C.CString(cm)
	defer C.free(handle(v))
	defer C.free(handle(c))
	var why [512]byte
	rc := C.wv_load(v, c, (*C.char)(handle(&why[0])), C.int(len(why)))
	return int(rc), text(why[:])
}

func cList() (list handle, n int, rc int) {
	var count C.int
	rc = int(C.wv_list(&list, &count))
	return list, int(count), rc
}

func cListFree(list handle) { C.wv_list_free(list) }

func cListName(list handle, i int) string {
	var name [64]byte
	C.wv_list_name(list, C.int(i), (*C.char)(handle(&name[0])), C.int(len(name)))
	return text(name[:])
}

func cListOpen(list handle, i int) (ctx handle, rc int) {
	rc = int(C.wv_list_open(list, C.int(i), &ctx))
	return ctx, rc
}

func cCtxClose(ctx handle) int { return int(C.wv_ctx_close(ctx)) }

func cCtxInfo(ctx handle, d *deviceInfo) int {
	return int(C.wv_ctx_info(ctx, (*C.struct_wv_device_info)(handle(d))))
}

func cCtxPort(ctx handle, port int, p *portInfo) int {
	return int(C.wv_ctx_port(ctx, C.int(port), (*C.struct_wv_port_info)(handle(p))))
}

func cAsyncFD(ctx handle) int { return int(C.wv_ctx_async_fd(ctx)) }

func cAsyncNext(ctx handle, e *asyncEvent) int {
	return int(C.wv_async_next(ctx, (*C.struct_wv_async)(handle(e))))
}

func cCMDevices() (list handle, n int, rc int) {
	var count C.int
	rc = int(C.wv_cm_devices(&list, &count))
	return list, int(count), rc
}

func cCMDevicesFree(list handle)              { C.wv_cm_devices_free(list) }
func cCMDevice(list handle, i int) handle     { return C.wv_cm_device(list, C.int(i)) }
func cPDAlloc(ctx handle) (pd handle, rc int) { rc = int(C.wv_pd_alloc(ctx, &pd)); return pd, rc }
func cPDFree(pd handle) int                   { return int(C.wv_pd_free(pd)) }

func cMRReg(pd handle, p []byte, access int) (mr handle, lkey, rkey uint32, rc int) {
	var l, r C.uint32_t
	rc = int(C.wv_mr_reg(pd, handle(&p[0]), C.uint64_t(len(p)), C.int(access), &mr, &l, &r))
	return mr, uint32(l), uint32(r), rc
}

func cMRDereg(mr handle) int { return int(C.wv_mr_dereg(mr)) }

func cCQCreate(ctx handle, depth, vector int) (channel, cq handle, fd, got, rc int) {
	var f, g C.int
	rc = int(C.wv_cq_create(ctx, C.int(depth), C.int(vector), &channel, &cq, &f, &g))
	return channel, cq, int(f), int(g), rc
}

func cCQDestroy(channel, cq handle, unacked uint32) int {
	return int(C.wv_cq_destroy(channel, cq, C.uint(unacked)))
}

func cCQPoll(cq handle, out []Completion, spin int64) int {
	return int(C.wv_cq_poll(cq, (*C.struct_wv_completion)(handle(&out[0])), C.int(len(out)), C.int64_t(spin)))
}

func cCQArm(channel, cq handle, out []Completion, woken bool, unacked *uint32) int {
	w := C.int(0)
	if woken {
		w = 1
	}
	return int(C.wv_cq_arm(channel, cq, (*C.struct_wv_completion)(handle(&out[0])), C.int(len(out)), w,
		(*C.uint32_t)(unacked)))
}

func cQPCreate(id, pd, cq handle, caps *qpCaps) (qp handle, rc int) {
	rc = int(C.wv_qp_create(id, pd, cq, (*C.struct_wv_qp_caps)(handle(caps)), &qp))
	return qp, rc
}

func cQPFail(qp handle) int                { return int(C.wv_qp_fail(qp)) }
func cQPRNRTimer(qp handle, timer int) int { return int(C.wv_qp_rnr_timer(qp, C.int(timer))) }
func cQPState(qp handle) int               { return int(C.wv_qp_state(qp)) }

func cPostSend(qp handle, w []SendWR, inline uint32) (posted, rc int) {
	var n C.int
	rc = int(C.wv_post_send(qp, (*C.struct_wv_send)(handle(&w[0])), C.int(len(w)), C.uint32_t(inline), &n))
	return int(n), rc
}

func cPostRecv(qp handle, w []RecvWR) (posted, rc int) {
	var n C.int
	rc = int(C.wv_post_recv(qp, (*C.struct_wv_recv)(handle(&w[0])), C.int(len(w)), &n))
	return int(n), rc
}

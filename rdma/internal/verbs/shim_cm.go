//go:build linux && cgo

package verbs

// #include "shim.h"
import "C"

func cCMChannel() (channel handle, fd, rc int) {
	var f C.int
	rc = int(C.wv_cm_channel(&channel, &f))
	return channel, int(f), rc
}

func cCMChannelFree(channel handle) { C.wv_cm_channel_free(channel) }
func cCMCreate(channel handle) (id handle, rc int) {
	rc = int(C.wv_cm_create(channel, &id))
	return id, rc
}
func cCMDestroy(id handle) int              { return int(C.wv_cm_destroy(id)) }
func cCMListen(id handle, backlog int) int  { return int(C.wv_cm_listen(id, C.int(backlog))) }
func cCMResolveRoute(id handle, ms int) int { return int(C.wv_cm_resolve_route(id, C.int(ms))) }
func cCMDisconnect(id handle) int           { return int(C.wv_cm_disconnect(id)) }
func cCMMigrate(id, channel handle) int     { return int(C.wv_cm_migrate(id, channel)) }
func cCMOption(id handle, option, value int) int {
	return int(C.wv_cm_option(id, C.int(option), C.int(value)))
}
func cCMQPDestroy(id handle) { C.wv_cm_qp_destroy(id) }

func cCMBind(id handle, a *cmAddr) int {
	return int(C.wv_cm_bind(id, (*C.struct_wv_addr)(handle(a))))
}

func cCMResolveAddr(id handle, src, dst *cmAddr, ms int) int {
	return int(C.wv_cm_resolve_addr(id, (*C.struct_wv_addr)(handle(src)), (*C.struct_wv_addr)(handle(dst)), C.int(ms)))
}

func cCMConnect(id handle, c *cmConn) int {
	return int(C.wv_cm_connect(id, (*C.struct_wv_conn)(handle(c))))
}

func cCMAccept(id handle, c *cmConn) int {
	return int(C.wv_cm_accept(id, (*C.struct_wv_conn)(handle(c))))
}

func cCMReject(id handle, c *cmConn) int {
	return int(C.wv_cm_reject(id, handle(&c.private[0]), C.int(c.privateLen)))
}

func cCMNext(channel handle, e *cmEvent) int {
	return int(C.wv_cm_next(channel, (*C.struct_wv_cm_event)(handle(e))))
}

func cCMAddrs(id handle, local, remote *cmAddr) {
	C.wv_cm_addrs(id, (*C.struct_wv_addr)(handle(local)), (*C.struct_wv_addr)(handle(remote)))
}

func cCMDeviceName(id handle) (string, int) {
	var name [64]byte
	rc := int(C.wv_cm_device_name(id, (*C.char)(handle(&name[0])), C.int(len(name))))
	return text(name[:]), rc
}

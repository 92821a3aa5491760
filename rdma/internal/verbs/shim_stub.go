//go:build !(linux && cgo)

package verbs

import (
	"syscall"
	"unsafe"
)

type handle = unsafe.Pointer

// Load fails first, so that nothing below it is reached.
const noShim = -int(syscall.ENOSYS)

func loadLibraries(string, string) (int, string) { return -3, "" }

func cList() (list handle, n, rc int)                             { return nil, 0, noShim }
func cListFree(handle)                                            {}
func cListName(handle, int) string                                { return "" }
func cListOpen(handle, int) (ctx handle, rc int)                  { return nil, noShim }
func cCtxClose(handle) int                                        { return noShim }
func cCtxInfo(handle, *deviceInfo) int                            { return noShim }
func cCtxPort(handle, int, *portInfo) int                         { return noShim }
func cAsyncFD(handle) int                                         { return noShim }
func cAsyncNext(handle, *asyncEvent) int                          { return noShim }
func cCMDevices() (list handle, n, rc int)                        { return nil, 0, noShim }
func cCMDevicesFree(handle)                                       {}
func cCMDevice(handle, int) handle                                { return nil }
func cPDAlloc(handle) (pd handle, rc int)                         { return nil, noShim }
func cPDFree(handle) int                                          { return noShim }
func cMRReg(handle, []byte, int) (mr handle, l, r uint32, rc int) { return nil, 0, 0, noShim }
func cMRDereg(handle) int                                         { return noShim }
func cCQCreate(handle, int, int) (ch, cq handle, fd, got, rc int) { return nil, nil, 0, 0, noShim }
func cCQDestroy(handle, handle, uint32) int                       { return noShim }
func cCQPoll(handle, []Completion, int64) int                     { return noShim }
func cCQArm(handle, handle, []Completion, bool, *uint32) int      { return noShim }
func cQPCreate(_, _, _ handle, _ *qpCaps) (qp handle, rc int)     { return nil, noShim }
func cQPFail(handle) int                                          { return noShim }
func cQPRNRTimer(handle, int) int                                 { return noShim }
func cQPState(handle) int                                         { return noShim }
func cPostSend(handle, []SendWR, uint32) (posted, rc int)         { return 0, noShim }
func cPostRecv(handle, []RecvWR) (posted, rc int)                 { return 0, noShim }
func cCMChannel() (channel handle, fd, rc int)                    { return nil, 0, noShim }
func cCMChannelFree(handle)                                       {}
func cCMCreate(handle) (id handle, rc int)                        { return nil, noShim }
func cCMDestroy(handle) int                                       { return noShim }
func cCMListen(handle, int) int                                   { return noShim }
func cCMResolveRoute(handle, int) int                             { return noShim }
func cCMDisconnect(handle) int                                    { return noShim }
func cCMMigrate(_, _ handle) int                                  { return noShim }
func cCMOption(handle, int, int) int                              { return noShim }
func cCMQPDestroy(handle)                                         {}
func cCMBind(handle, *cmAddr) int                                 { return noShim }
func cCMResolveAddr(handle, *cmAddr, *cmAddr, int) int            { return noShim }
func cCMConnect(handle, *cmConn) int                              { return noShim }
func cCMAccept(handle, *cmConn) int                               { return noShim }
func cCMReject(handle, *cmConn) int                               { return noShim }
func cCMNext(handle, *cmEvent) int                                { return noShim }
func cCMAddrs(_ handle, _, _ *cmAddr)                             {}
func cCMDeviceName(handle) (string, int)                          { return "", noShim }

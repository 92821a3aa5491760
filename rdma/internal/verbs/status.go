package verbs

import "strconv"

// Status of a completion. Every one but Success is an error, and the queue pair goes to the error state, in which
// whatever is outstanding completes with Flushed.
type Status int32

// Completion statuses, named ibv_wc_status in libibverbs.
const (
	Success          Status = 0
	LocalLength      Status = 1
	LocalQPOperation Status = 2
	LocalProtection  Status = 4
	Flushed          Status = 5
	BadResponse      Status = 7
	LocalAccess      Status = 8
	RemoteInvalid    Status = 9
	RemoteAccess     Status = 10
	RemoteOperation  Status = 11
	RetryExceeded    Status = 12
	RNRRetryExceeded Status = 13
	RemoteAborted    Status = 16
	Fatal            Status = 19
	ResponseTimeout  Status = 20
	GeneralError     Status = 21

	firstUnknown Status = 24
)

const statusUnspecified = "the device reported an error that reliable connections do not have; look at its log (dmesg)"

var statusTexts = [firstUnknown]struct{ name, text string }{
	Success:          {"SUCCESS", "success"},
	LocalLength:      {"LOC_LEN_ERR", "a message was longer than the receive posted for it, or a request longer than the port allows"},
	LocalQPOperation: {"LOC_QP_OP_ERR", "the device found the work request inconsistent: a bug in how it was made"},
	3:                {"LOC_EEC_OP_ERR", statusUnspecified},
	LocalProtection:  {"LOC_PROT_ERR", "local memory of the work request is not registered, or not for this: the region was closed too early or the key is wrong"},
	Flushed:          {"WR_FLUSH_ERR", "not done: the queue pair was in the error state; the first other error tells why"},
	6:                {"MW_BIND_ERR", statusUnspecified},
	BadResponse:      {"BAD_RESP_ERR", "the other end answered with an unexpected packet: look for mixed or faulty devices"},
	LocalAccess:      {"LOC_ACCESS_ERR", "the other end's WRITE could not be delivered into local memory: the region lacks the right"},
	RemoteInvalid:    {"REM_INV_REQ_ERR", "the other end does not accept this request: receive too short, or READs not enabled for it"},
	RemoteAccess:     {"REM_ACCESS_ERR", "the remote key, address or length is not valid at the other end: its region was closed or never allowed this"},
	RemoteOperation:  {"REM_OP_ERR", "the other end could not complete the request for a reason of its own: see its log"},
	RetryExceeded:    {"RETRY_EXC_ERR", "the other end did not answer: it is down, the path is broken, or a lossy network dropped every retry (check PFC/ECN, MTU, routes)"},
	RNRRetryExceeded: {"RNR_RETRY_EXC_ERR", "the other end had no receive posted for too long: it is overloaded or has lost count of its credits"},
	14:               {"LOC_RDD_VIOL_ERR", statusUnspecified},
	15:               {"REM_INV_RD_REQ_ERR", statusUnspecified},
	RemoteAborted:    {"REM_ABORT_ERR", "the other end aborted the request"},
	17:               {"INV_EECN_ERR", statusUnspecified},
	18:               {"INV_EEC_STATE_ERR", statusUnspecified},
	Fatal:            {"FATAL_ERR", "the device failed: it must be reset (look at dmesg)"},
	ResponseTimeout:  {"RESP_TIMEOUT_ERR", "the other end answered too late"},
	GeneralError:     {"GENERAL_ERR", "the device failed in a way of its own: see the vendor's code and dmesg"},
	22:               {"TM_ERR", statusUnspecified},
	23:               {"TM_RNDV_INCOMPLETE", statusUnspecified},
}

// String is the name in libibverbs without its prefix.
func (s Status) String() string {
	if s < 0 || s >= firstUnknown {
		return "WC_STATUS_" + strconv.Itoa(int(s))
	}
	return statusTexts[s].name
}

// Error says what the status means and what to look at.
func (s Status) Error() string {
	if s < 0 || s >= firstUnknown {
		return "verbs: " + s.String() + ": " + statusUnspecified
	}
	return "verbs: " + statusTexts[s].name + ": " + statusTexts[s].text
}

// Err is nil for Success, otherwise s.
func (s Status) Err() error {
	if s == Success {
		return nil
	}
	return s
}

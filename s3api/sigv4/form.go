package sigv4

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"time"
)

// VerifyForm authenticates a request by its header and its whole body, as services other than S3 are asked, whose clients do not
// say the body's hash in a header. [ErrAnonymous] for a request without credentials.
func (v *Verifier) VerifyForm(r *http.Request, body []byte) (*Result, error) {
	s := getScratch()
	defer s.release()
	if err := s.query.parse(r.URL.RawQuery); err != nil {
		return nil, err
	}
	header := r.Header["Authorization"]
	switch {
	case s.query.presigned() || s.query.version2:
		return nil, errMechanism
	case len(header) > 1:
		return nil, errOneMechanism
	case len(header) == 0:
		return nil, ErrAnonymous
	}
	now := time.Now
	if v.Now != nil {
		now = v.Now
	}
	sum := sha256.Sum256(body)
	a, err := fromHeader(header[0], r.Header, now(), hex.EncodeToString(sum[:]))
	if err != nil {
		return nil, err
	}
	return v.verify(r, s, &a)
}

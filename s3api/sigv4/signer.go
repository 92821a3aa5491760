package sigv4

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/weftstore/weft/internal/checksum"
)

// Signer signs requests as a client does. It is safe for concurrent use; its fields must not change once it is in use.
type Signer struct {
	Credentials Credentials
	Region      string // of the credential scope, such as "us-east-1"
	Service     string // of the credential scope; "" is "s3"

	keys keyCache
}

// seed is where a chain of chunk signatures starts.
type seed struct {
	key                     *signingKey
	stamp, scope, signature string
}

func (s *Signer) credential(t time.Time) credential {
	date, name := t.UTC().Format(dateLayout), s.Service
	if name == "" {
		name = service
	}
	scope := date + "/" + s.Region + "/" + name + "/" + terminal
	return credential{accessKey: s.Credentials.AccessKey, scope: scope, date: date, region: s.Region, service: name, terminal: terminal}
}

// unsignedHeaders are left out because a client library, a proxy or net/http may still change them.
var unsignedHeaders = []string{"Accept-Encoding", "Authorization", "Connection", "Expect", "User-Agent"}

// signedHeaderList is host and every header of r that is signed, as SignedHeaders has them.
func signedHeaderList(r *http.Request) string {
	names := make([]string, 1, len(r.Header)+1)
	names[0] = "host"
	for k := range r.Header {
		if !slices.Contains(unsignedHeaders, k) {
			names = append(names, strings.ToLower(k))
		}
	}
	slices.Sort(names)
	return strings.Join(names, ";")
}

// SignHeader signs r as it is, its query and headers included, by an Authorization header, and sets X-Amz-Date and
// X-Amz-Content-Sha256. payload is the SHA-256 of the body in hex, [EmptySHA256], or the value of a [PayloadMode]; for chunked modes see
// SignStream. It fails if the query of r.URL is malformed.
func (s *Signer) SignHeader(r *http.Request, payload string, t time.Time) error {
	_, err := s.signHeader(r, payload, t)
	return err
}

func (s *Signer) signHeader(r *http.Request, payload string, t time.Time) (seed, error) {
	stamp := t.UTC().Format(stampLayout)
	r.Header.Set("X-Amz-Date", stamp)
	r.Header.Set("X-Amz-Content-Sha256", payload)
	list := signedHeaderList(r)
	cred := s.credential(t)
	signature, key, err := s.sign(r, cred, stamp, list, payload)
	if err != nil {
		return seed{}, err
	}
	r.Header.Set("Authorization", algorithm+" Credential="+cred.accessKey+"/"+cred.scope+",SignedHeaders="+list+",Signature="+signature)
	return seed{key, stamp, cred.scope, signature}, nil
}

func (s *Signer) sign(r *http.Request, cred credential, stamp, list, payload string) (string, *signingKey, error) {
	sc := getScratch()
	defer sc.release()
	if err := sc.query.parse(r.URL.RawQuery); err != nil {
		return "", nil, err
	}
	sc.buildCanonical(r, list, payload)
	sc.buildStringToSign(stamp, cred.scope)
	key := s.keys.get(cred, s.Credentials.SecretKey)
	return string(key.sign(sc.hex[:0], sc.toSign, &sc.sum)), key, nil
}

// Presign adds authentication to the query of r.URL, valid from t for expires, between 1 second and 7 days, in whole seconds. Headers that r
// has become part of the signature and must be sent with the URL. The payload is unsigned.
func (s *Signer) Presign(r *http.Request, t time.Time, expires time.Duration) error {
	if expires < time.Second || expires > maxExpires {
		return errors.New("sigv4: presign: validity must be between a second and seven days")
	}
	stamp := t.UTC().Format(stampLayout)
	list := signedHeaderList(r)
	cred := s.credential(t)
	auth := "X-Amz-Algorithm=" + algorithm + "&X-Amz-Credential=" + url.QueryEscape(cred.accessKey+"/"+cred.scope) +
		"&X-Amz-Date=" + stamp + "&X-Amz-Expires=" + strconv.FormatInt(int64(expires/time.Second), 10) +
		"&X-Amz-SignedHeaders=" + url.QueryEscape(list)
	if r.URL.RawQuery != "" {
		auth = r.URL.RawQuery + "&" + auth
	}
	r.URL.RawQuery = auth
	payload := r.Header.Get("X-Amz-Content-Sha256")
	if payload == "" {
		payload = PayloadUnsigned.String()
	}
	signature, _, err := s.sign(r, cred, stamp, list, payload)
	if err != nil {
		return err
	}
	r.URL.RawQuery += "&X-Amz-Signature=" + signature
	return nil
}

// DefaultChunkSize is the chunk size of the SDKs, in bytes.
const DefaultChunkSize = 64 << 10

// Stream describes a chunked body for [Signer.SignStream].
type Stream struct {
	Body      io.Reader          // payload; exactly Size bytes are read
	Size      int64              // bytes
	Mode      PayloadMode        // a chunked one
	ChunkSize int                // bytes; DefaultChunkSize if 0
	Checksum  checksum.Algorithm // sent as a trailer; must be None if and only if the mode has no trailers
}

// SignStream signs r and gives it an aws-chunked body, with its length and headers. It fails for a mode without chunks, or a
// checksum that does not go with the mode.
func (s *Signer) SignStream(r *http.Request, st Stream, t time.Time) error {
	if !st.Mode.Chunked() || st.Size < 0 || st.ChunkSize < 0 || st.Mode.trailers() != st.Checksum.Valid() {
		return errors.New("sigv4: sign stream: mode, size and checksum do not go together")
	}
	if st.ChunkSize == 0 {
		st.ChunkSize = DefaultChunkSize
	}
	encoding := "aws-chunked"
	if e := r.Header.Get("Content-Encoding"); e != "" {
		encoding += "," + e
	}
	r.Header.Set("Content-Encoding", encoding)
	r.Header.Set("X-Amz-Decoded-Content-Length", strconv.FormatInt(st.Size, 10))
	if st.Mode.trailers() {
		r.Header.Set("X-Amz-Trailer", strings.ToLower(st.Checksum.Header()))
	}
	r.ContentLength = st.encodedLength()
	if r.Header.Get("Content-Length") != "" { // then it will be signed
		r.Header.Set("Content-Length", strconv.FormatInt(r.ContentLength, 10))
	}
	start, err := s.signHeader(r, st.Mode.String(), t)
	if err != nil {
		return err
	}
	r.Body = io.NopCloser(newEncoder(st, start))
	return nil
}

// SignForm signs r by an Authorization header for a service whose clients do not say the hash of the body in a header.
func (s *Signer) SignForm(r *http.Request, body []byte, t time.Time) error {
	stamp := t.UTC().Format(stampLayout)
	r.Header.Set("X-Amz-Date", stamp)
	list := signedHeaderList(r)
	cred := s.credential(t)
	sum := sha256.Sum256(body)
	signature, _, err := s.sign(r, cred, stamp, list, hex.EncodeToString(sum[:]))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", algorithm+" Credential="+cred.accessKey+"/"+cred.scope+",SignedHeaders="+list+",Signature="+signature)
	return nil
}

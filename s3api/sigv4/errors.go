package sigv4

import (
	"errors"
	"net/http"
	"strings"
)

// ErrAnonymous is returned by [Verifier.Verify] for a request without credentials.
var ErrAnonymous = errors.New("sigv4: request carries no credentials")

// Field is an extra element of S3's error document, named as AWS spells it.
type Field struct{ Name, Value string }

// Error is what the client is told: S3's error code, its message, the HTTP status, and further elements of the error document.
// Values are immutable. Two errors are the same to [errors.Is] when their codes are.
type Error struct {
	Code    string
	Message string
	Status  int
	Fields  []Field
}

// Error returns code and message, without the fields.
func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Is compares codes, so that errors.Is(err, ErrIncompleteBody) holds for every error of that code.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

func (e *Error) with(fields ...Field) *Error {
	c := *e
	c.Fields = append(c.Fields[:len(c.Fields):len(c.Fields)], fields...)
	return &c
}

func (e *Error) saying(parts ...string) *Error {
	c := *e
	c.Message = strings.Join(parts, "")
	return &c
}

// The errors of this package by S3 code, with S3's usual message; returned ones may say more.
var (
	ErrAccessDenied          = &Error{Code: "AccessDenied", Message: "Access Denied", Status: http.StatusForbidden}
	ErrHeaderMalformed       = &Error{Code: "AuthorizationHeaderMalformed", Message: "The authorization header is malformed.", Status: http.StatusBadRequest}
	ErrQueryParameters       = &Error{Code: "AuthorizationQueryParametersError", Message: "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.", Status: http.StatusBadRequest}
	ErrSignatureDoesNotMatch = &Error{Code: "SignatureDoesNotMatch", Message: "The request signature we calculated does not match the signature you provided. Check your key and signing method.", Status: http.StatusForbidden}
	ErrInvalidAccessKeyID    = &Error{Code: "InvalidAccessKeyId", Message: "The AWS Access Key Id you provided does not exist in our records.", Status: http.StatusForbidden}
	ErrRequestTimeTooSkewed  = &Error{Code: "RequestTimeTooSkewed", Message: "The difference between the request time and the current time is too large.", Status: http.StatusForbidden}
	ErrInvalidToken          = &Error{Code: "InvalidToken", Message: "The provided token is malformed or otherwise invalid.", Status: http.StatusBadRequest}
	ErrExpiredToken          = &Error{Code: "ExpiredToken", Message: "The provided token has expired.", Status: http.StatusBadRequest}
	ErrInvalidRequest        = &Error{Code: "InvalidRequest", Message: "Invalid Request", Status: http.StatusBadRequest}
	ErrInvalidArgument       = &Error{Code: "InvalidArgument", Message: "Invalid Argument", Status: http.StatusBadRequest}
	ErrInvalidURI            = &Error{Code: "InvalidURI", Message: "Couldn't parse the specified URI.", Status: http.StatusBadRequest}
	ErrNotImplemented        = &Error{Code: "NotImplemented", Message: "A header you provided implies functionality that is not implemented.", Status: http.StatusNotImplemented}
	ErrContentSHA256Mismatch = &Error{Code: "XAmzContentSHA256Mismatch", Message: "The provided 'x-amz-content-sha256' header does not match what was computed.", Status: http.StatusBadRequest}
	ErrIncompleteBody        = &Error{Code: "IncompleteBody", Message: "You did not provide the number of bytes specified by the Content-Length HTTP header.", Status: http.StatusBadRequest}
	ErrMissingContentLength  = &Error{Code: "MissingContentLength", Message: "You must provide the Content-Length HTTP header.", Status: http.StatusLengthRequired}
	ErrEntityTooLarge        = &Error{Code: "EntityTooLarge", Message: "Your proposed upload exceeds the maximum allowed object size.", Status: http.StatusBadRequest}
	ErrMalformedTrailer      = &Error{Code: "MalformedTrailerError", Message: "The request contained trailing data that was not well-formed or did not conform to our published schema.", Status: http.StatusBadRequest}
)

var (
	errMechanism    = ErrInvalidRequest.saying("The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.")
	errOneMechanism = ErrInvalidArgument.saying("Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or the Authorization header should be specified")
	errAuthType     = ErrInvalidArgument.saying("Unsupported Authorization Type").with(Field{"ArgumentName", "Authorization"})
	errNoSHA256     = ErrInvalidRequest.saying("Missing required header for this request: x-amz-content-sha256")
	errNoDate       = ErrAccessDenied.saying("AWS authentication requires a valid Date or x-amz-date header")
	errExpired      = ErrAccessDenied.saying("Request has expired")
	errNotYet       = ErrAccessDenied.saying("Request is not yet valid")
	errNotSigned    = ErrAccessDenied.saying("There were headers present in the request which were not signed")
	errChunk        = ErrIncompleteBody.saying("The request body terminated unexpectedly or is not well-formed aws-chunked data")
	errLength       = ErrIncompleteBody.saying("The request body does not have the length that the x-amz-decoded-content-length header gives")
	errTrailerName  = ErrInvalidRequest.saying("The value specified in the x-amz-trailer header is not supported")
)

func malformed(parts ...string) *Error {
	return ErrHeaderMalformed.saying("The authorization header is malformed; " + strings.Join(parts, ""))
}

package iamapi

import (
	"errors"
	"net/http"

	"github.com/weftstore/weft/identity"
	"github.com/weftstore/weft/identity/oidc"
	"github.com/weftstore/weft/s3api/policy"
	"github.com/weftstore/weft/s3api/sigv4"
)

// Error is an error of IAM or STS as the client sees it.
type Error struct {
	Code, Message string
	Status        int
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

func (e *Error) saying(message string) *Error {
	c := *e
	c.Message = message
	return &c
}

var (
	errAccessDenied  = &Error{"AccessDenied", "Access Denied", http.StatusForbidden}
	errBody          = &Error{"InvalidRequest", "The body could not be read, or is longer than 128 KiB.", http.StatusBadRequest}
	errInternal      = &Error{"ServiceFailure", "The request processing has failed because of an unknown error.", http.StatusInternalServerError}
	errInvalidAction = &Error{"InvalidAction", "", http.StatusBadRequest}
	errInvalidInput  = &Error{"InvalidInput", "", http.StatusBadRequest}
	errMalformed     = &Error{"MalformedQueryString", "The query string contains a syntax error.", http.StatusNotFound}
	errMissingToken  = &Error{"MissingAuthenticationToken", "Request is missing Authentication Token", http.StatusForbidden}
	errNoSuchEntity  = &Error{"NoSuchEntity", "", http.StatusNotFound}
	errThrottling    = &Error{"Throttling", "Rate exceeded", http.StatusServiceUnavailable}
	errValidation    = &Error{"ValidationError", "", http.StatusBadRequest}
)

// translations of what package identity returns, tried in order.
var translations = [...]struct {
	from   error
	code   string
	status int
}{
	{identity.ErrNotFound, "NoSuchEntity", http.StatusNotFound},
	{identity.ErrExists, "EntityAlreadyExists", http.StatusConflict},
	{identity.ErrInUse, "DeleteConflict", http.StatusConflict},
	{identity.ErrLimit, "LimitExceeded", http.StatusConflict},
	{identity.ErrDenied, "AccessDenied", http.StatusForbidden},
	{identity.ErrInvalid, "ValidationError", http.StatusBadRequest},
	{oidc.ErrExpired, "ExpiredTokenException", http.StatusBadRequest},
	{oidc.ErrInvalid, "InvalidIdentityToken", http.StatusBadRequest},
}

// signature errors have other names than S3's.
var authCodes = map[string]string{
	"InvalidAccessKeyId": "InvalidClientTokenId", "InvalidToken": "InvalidClientTokenId", "AuthorizationHeaderMalformed": "IncompleteSignature",
	"RequestTimeTooSkewed": "SignatureDoesNotMatch", "XAmzContentSHA256Mismatch": "SignatureDoesNotMatch",
}

func errorOf(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	if e, ok := errors.AsType[*sigv4.Error](err); ok {
		code := e.Code
		if c, ok := authCodes[code]; ok {
			code = c
		}
		status := e.Status
		if status == http.StatusBadRequest && code == "InvalidClientTokenId" {
			status = http.StatusForbidden
		}
		return &Error{code, e.Message, status}
	}
	if e, ok := errors.AsType[*policy.Error](err); ok {
		return &Error{"MalformedPolicyDocument", e.Message, http.StatusBadRequest}
	}
	if errors.Is(err, oidc.ErrProvider) { // where it went wrong is for the log
		return &Error{"IDPCommunicationError", "The identity provider could not be asked for its keys.", http.StatusBadRequest}
	}
	for _, t := range translations {
		if errors.Is(err, t.from) {
			return &Error{t.code, err.Error(), t.status}
		}
	}
	return errInternal
}

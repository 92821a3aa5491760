package sigv4

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
)

// Post is what signs an upload by an HTML form: the policy in base64, as it was sent, and the fields about its signature.
// "" stands for a field that is not there.
type Post struct {
	Policy string
	// Of version 4:
	Algorithm, Credential, Date, Signature, Token string
	// Of version 2, which forms may still use, as on AWS:
	AccessKey, Signature2 string
}

// VerifyPost authenticates a form. Its policy says what the form may do, and until when; nothing of it is looked at here. The
// errors are as those of Verify, [ErrAnonymous] too.
func (v *Verifier) VerifyPost(ctx context.Context, f *Post) (*Result, error) {
	switch {
	case f.Policy == "" && f.Signature == "" && f.Signature2 == "":
		return &Result{Mode: PayloadUnsigned}, ErrAnonymous
	case f.Policy == "":
		return nil, missingField("policy")
	case f.Algorithm != "" || f.Credential != "" || f.Signature != "":
		return v.verifyForm4(ctx, f)
	}
	return v.verifyForm2(ctx, f)
}

func missingField(name string) *Error {
	return &Error{Code: "InvalidArgument", Status: 400, Message: "Bucket POST must contain a field named '" + name + "'.  If it is specified, please check the order of the fields."}
}

func (v *Verifier) verifyForm4(ctx context.Context, f *Post) (*Result, error) {
	for _, field := range []struct{ name, value string }{
		{"X-Amz-Algorithm", f.Algorithm}, {"X-Amz-Credential", f.Credential}, {"X-Amz-Date", f.Date}, {"X-Amz-Signature", f.Signature},
	} {
		if field.value == "" {
			return nil, missingField(field.name)
		}
	}
	if f.Algorithm != algorithm {
		return nil, errMechanism
	}
	cred, ok := parseCredential(f.Credential)
	if !ok || len(f.Date) != len(stampLayout) || f.Date[:len(dateLayout)] != cred.date {
		return nil, ErrQueryParameters.saying("Error parsing the X-Amz-Credential parameter; the Credential is mal-formed; expecting \"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\", of the day of X-Amz-Date.")
	}
	if err := v.checkScope(&authorization{credential: cred, presigned: true}); err != nil {
		return nil, err
	}
	key, err := v.lookupForm(ctx, cred.accessKey, f.Token)
	if err != nil {
		return nil, err
	}
	var hex [2 * sha256.Size]byte
	var sum [sha256.Size]byte
	if !equalHex(v.keys.get(cred, key.Secret).sign(hex[:0], []byte(f.Policy), &sum), f.Signature) {
		return nil, ErrSignatureDoesNotMatch.with(Field{"AWSAccessKeyId", clip(cred.accessKey)}, Field{"StringToSign", clip(f.Policy)})
	}
	return formResult(cred.accessKey, &key, false), nil
}

// verifyForm2 is HMAC-SHA1 over the policy. The hash is old and, in an HMAC, not broken.
func (v *Verifier) verifyForm2(ctx context.Context, f *Post) (*Result, error) {
	if f.AccessKey == "" {
		return nil, missingField("AWSAccessKeyId")
	}
	if f.Signature2 == "" {
		return nil, missingField("Signature")
	}
	key, err := v.lookupForm(ctx, f.AccessKey, f.Token)
	if err != nil {
		return nil, err
	}
	h := hmac.New(sha1.New, []byte(key.Secret))
	h.Write([]byte(f.Policy))
	given, err := base64.StdEncoding.DecodeString(f.Signature2)
	if err != nil || subtle.ConstantTimeCompare(h.Sum(nil), given) != 1 {
		return nil, ErrSignatureDoesNotMatch.with(Field{"AWSAccessKeyId", clip(f.AccessKey)}, Field{"StringToSign", clip(f.Policy)})
	}
	return formResult(f.AccessKey, &key, true), nil
}

func formResult(accessKey string, key *Key, version2 bool) *Result {
	return &Result{Mode: PayloadUnsigned, Identity: Identity{AccessKey: accessKey, Posted: true, Version2: version2, Owner: key.Owner}}
}

func (v *Verifier) lookupForm(ctx context.Context, accessKey, token string) (Key, error) {
	key, err := Key{}, error(ErrInvalidAccessKeyID)
	if v.Lookup != nil {
		key, err = v.Lookup(ctx, accessKey, token)
	}
	if errors.Is(err, ErrInvalidAccessKeyID) {
		return key, ErrInvalidAccessKeyID.with(Field{"AWSAccessKeyId", clip(accessKey)})
	}
	return key, err
}

package main

import (
	"context"
	"encoding/xml"
	"net/http"
	"net/url"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/signer"
)

// rename sends one RenameObject, which the client's library does not have. Any answer but success is a minio.ErrorResponse.
func (l *load) rename(ctx context.Context, gw *minio.Client, from, to string) error {
	u := gw.EndpointURL().JoinPath(bucket, to)
	u.RawQuery = "renameObject="
	r, err := http.NewRequestWithContext(ctx, http.MethodPut, u.String(), nil)
	if err != nil {
		return err
	}
	r.Header.Set("X-Amz-Rename-Source", url.PathEscape(from))
	r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
	answer, err := l.http.RoundTrip(signer.SignV4(*r, l.c.access, l.c.secret, "", "us-east-1"))
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode == http.StatusOK {
		return nil
	}
	e := minio.ErrorResponse{}
	_ = xml.NewDecoder(answer.Body).Decode(&e) // without a body the status is all that is known
	e.StatusCode = answer.StatusCode
	return e
}

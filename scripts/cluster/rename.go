package main

import (
	"context"
	"encoding/xml"
	"net/http"
	"net/url"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/signer"
)

// rename sends one RenameObject within a bucket, which the client's library does not have. Any answer but success is a minio.ErrorResponse.
func (l *load) rename(ctx context.Context, gw *minio.Client, from, to string) error {
	_, source, _ := strings.Cut(from, "/")
	u := gw.EndpointURL().JoinPath(to)
	u.RawQuery = "renameObject="
	r, err := http.NewRequestWithContext(ctx, http.MethodPut, u.String(), nil)
	if err != nil {
		return err
	}
	r.Header.Set("X-Amz-Rename-Source", url.PathEscape(source))
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

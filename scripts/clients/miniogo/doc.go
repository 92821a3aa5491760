// Package miniogo is the client suite that drives a running server with minio-go, which signs every chunk of a
// streamed body, sends checksum trailers and uploads the parts of a multipart object in parallel.
//
// It has tests only. They need WEFT_ENDPOINT, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, which
// scripts/clients/run sets; without WEFT_ENDPOINT they are skipped, and `make test` runs them as the suite minio-go.
package miniogo

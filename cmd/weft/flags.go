package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/weftstore/weft/cmd/weft/internal/cluster"
	"github.com/weftstore/weft/cmd/weft/internal/gateway"
	"github.com/weftstore/weft/cmd/weft/internal/metrics"
	"github.com/weftstore/weft/cmd/weft/internal/telemetry"
)

// Environment variables that hold the root credentials.
const (
	envAccessKey = "WEFT_ROOT_ACCESS_KEY"
	envSecretKey = "WEFT_ROOT_SECRET_KEY" //nolint:gosec // the name of a variable
)

// addGatewayFlags are what every process that speaks S3 takes.
func addGatewayFlags(cmd *cobra.Command, cfg *gateway.Config) {
	f := cmd.Flags()
	f.StringVar(&cfg.Address, "address", cfg.Address, "address to serve S3 on")
	f.Var(&cfg.Memory, "memory", "registered memory for object data in flight")
	f.StringVar(&cfg.State, "state", cfg.State, "directory of metadata, credentials and caches; put it on a reliable local disk")
	f.StringSliceVar(&cfg.Domains, "domain", nil, "domain of virtual-hosted requests (BUCKET.DOMAIN); repeatable")
	f.StringVar(&cfg.Region, "region", cfg.Region, "region that clients sign for")
	f.StringVar(&cfg.TLSCert, "tls-cert", "", "certificate chain (PEM); with --tls-key serves https")
	f.StringVar(&cfg.TLSKey, "tls-key", "", "private key (PEM)")
	f.BoolVar(&cfg.HTTP2, "http2", false, "speak HTTP/2 too; HTTP/1.1 moves more bytes")
	f.StringVar(&cfg.AuditLog, "audit-log", "", "file to append a line of JSON to for each request")
	f.StringVar(&cfg.AuditWebhook, "audit-webhook", "", "URL to post those lines to instead; they wait in the state directory while it is away")
	f.StringVar(&cfg.AuditTokenFile, "audit-token-file", "", "file with the bearer token of the webhook")
	f.IntVar(&cfg.Places, "places", 0, "requests at work at once while several accounts contend (default 8 for each core; 4096 lets all in as they come)")
	f.StringVar(&cfg.Keyring, "keyring", "", "file that seals the secrets of access keys (default keyring in the state directory)")
	f.DurationVar((*time.Duration)(&cfg.LostAfter), "lost-after", time.Duration(cfg.LostAfter), "how long a target may be away until what it had is made anew on others; 0s is for ever")
	f.StringSliceVar(&cfg.KMSKeys, "kms-key", cfg.KMSKeys, "name of a key for SSE-KMS, the first is the default; repeatable")
	f.StringVar(&cfg.Vault, "kms-vault", "", "URL of a Vault server whose transit engine has the keys of SSE-KMS (default: the keyring)")
	f.StringVar(&cfg.VaultMount, "kms-vault-mount", cfg.VaultMount, "where Vault's transit engine is mounted")
	f.StringVar(&cfg.VaultNamespace, "kms-vault-namespace", "", "namespace in Vault")
	f.StringVar(&cfg.VaultTokenFile, "kms-vault-token-file", "", "file with Vault's token, read again for each question")
	f.BoolVar(&cfg.TLSInFront, "tls-in-front", false, "clients come through TLS that ends before this server: take customers' keys (SSE-C) over plain HTTP")
	f.StringVar(&cfg.Ownership, "object-ownership", "BucketOwnerEnforced", "ObjectOwnership of buckets that say none; with BucketOwnerPreferred or ObjectWriter they have access control lists")
	f.DurationVar((*time.Duration)(&cfg.LifecycleDay), "lifecycle-day", 0, "length of a day of lifecycle rules, for tests; 0 is a real day")
	f.StringArrayVar(&cfg.Notify, "notify", nil, "destination of bucket notifications, NAME=URL: http(s)://, nats://HOST:PORT/SUBJECT or kafka://HOST:PORT/TOPIC; repeatable")
	f.DurationVar((*time.Duration)(&cfg.LogEvery), "bucket-logging-every", time.Duration(cfg.LogEvery), "longest that lines of buckets' access logs wait for delivery")
	addMetricsFlag(cmd, &cfg.Metrics)
	addTraceFlag(cmd, &cfg.Settings)
	f.Float64Var(&cfg.Ratio, "trace-ratio", cfg.Ratio, "share of requests that are traced, 0 to 1")
	f.BoolVar(&cfg.Clients, "trace-clients", false, "let requests be part of the traces that their traceparent headers name, within --trace-ratio")
}

func addTraceFlag(cmd *cobra.Command, s *telemetry.Settings) {
	cmd.Flags().StringVar(&s.Endpoint, "trace-endpoint", "", "URL of an OpenTelemetry collector to send traces to (OTLP over HTTP), such as http://127.0.0.1:4318; off by default")
}

func addMetricsFlag(cmd *cobra.Command, addr *string) {
	cmd.Flags().StringVar(addr, "metrics", "", "address to serve Prometheus metrics on, without authentication; off by default")
}

// rootCredentials takes them from the environment.
func rootCredentials(cfg *gateway.Config) {
	cfg.AccessKey, cfg.SecretKey = os.Getenv(envAccessKey), os.Getenv(envSecretKey)
}

// counters are made when they are asked for.
func counters(addr string) *metrics.Set {
	if addr == "" {
		return nil
	}
	return metrics.New(version())
}

// addLogFlag returns what makes the logger when the flags are read.
func addLogFlag(cmd *cobra.Command) func() (*slog.Logger, error) {
	level := cmd.Flags().String("log-level", "info", "debug, info, warn or error")
	return func() (*slog.Logger, error) {
		var l slog.Level
		if err := l.UnmarshalText([]byte(*level)); err != nil {
			return nil, fmt.Errorf("--log-level %q: want debug, info, warn or error", *level)
		}
		return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: l})), nil
	}
}

// defaultCluster is where the cluster file is looked for.
const defaultCluster = "/etc/weft/cluster.toml"

func addClusterFlag(cmd *cobra.Command) func() (*cluster.File, error) {
	path := cmd.Flags().String("cluster", defaultCluster, "cluster file; \"weft cluster init\" writes one")
	return func() (*cluster.File, error) { return loadCluster(*path) }
}

// loadCluster reads the file that --cluster names.
func loadCluster(path string) (*cluster.File, error) {
	f, err := cluster.Load(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w; name it with --cluster, or write one with `weft cluster init`", err)
	}
	return f, err
}

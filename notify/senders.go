package notify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Open makes the destination of an address:
//
//	http://host/path, https://user:password@host/path
//	nats://host:4222/subject, with ?jetstream=true for a stream that is there
//	kafka://broker:9092,broker:9092/topic
//
// An error does not repeat what may be secret in it. The destination may be away.
func Open(address string) (Sender, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return nil, errors.New("want http(s)://HOST/PATH, nats://HOST:PORT/SUBJECT or kafka://HOST:PORT/TOPIC")
	}
	name := strings.Trim(u.Path, "/")
	switch u.Scheme {
	case "http", "https":
		return &webhook{url: address, client: http.Client{Timeout: 10 * time.Second, CheckRedirect: samePost}}, nil
	case "nats", "tls":
		if name == "" || strings.ContainsAny(name, " \t") {
			return nil, errors.New("name a subject: nats://HOST:PORT/SUBJECT")
		}
		return openNATS(u, name)
	case "kafka":
		if name == "" {
			return nil, errors.New("name a topic: kafka://HOST:PORT/TOPIC")
		}
		cl, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(u.Host, ",")...), kgo.RequiredAcks(kgo.AllISRAcks()), kgo.DefaultProduceTopic(name),
			kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)), kgo.RecordDeliveryTimeout(sendTimeout))
		if err != nil {
			return nil, fmt.Errorf("kafka: %w", err)
		}
		return &kafka{cl}, nil
	}
	return nil, fmt.Errorf("%q is no kind of destination: http, https, nats and kafka are", u.Scheme)
}

// webhook posts one event after the other.
type webhook struct {
	url    string
	client http.Client
}

// samePost follows redirects that keep the document, and no others.
func samePost(r *http.Request, via []*http.Request) error {
	if r.Method != http.MethodPost || len(via) >= 10 {
		return http.ErrUseLastResponse
	}
	return nil
}

func (w *webhook) Send(ctx context.Context, events []Event) (int, error) {
	for i := range events {
		if err := w.post(ctx, events[i].Data); err != nil {
			return i, err
		}
	}
	return len(events), nil
}

func (w *webhook) post(ctx context.Context, data []byte) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, bytes.NewReader(data))
	if err != nil {
		return errors.New("webhook: its address cannot be used")
	}
	r.Header.Set("Content-Type", "application/json")
	res, err := w.client.Do(r)
	if err != nil {
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err // without the address
		}
		return fmt.Errorf("webhook: %w", err)
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10)) // for the connection's next use
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("webhook answers %d", res.StatusCode)
	}
	return nil
}

func (w *webhook) Close() error {
	w.client.CloseIdleConnections()
	return nil
}

// natsSender publishes to a subject.
type natsSender struct {
	conn    *nats.Conn
	stream  jetstream.JetStream // nil without
	subject string
}

func openNATS(u *url.URL, subject string) (Sender, error) {
	server := *u
	server.Path, server.RawQuery = "", ""
	conn, err := nats.Connect(server.String(), nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.Name("weft"),
		nats.ReconnectBufSize(-1)) // what cannot be sent now waits in the queue
	if err != nil {
		return nil, errors.New("nats: the address cannot be used")
	}
	s := &natsSender{conn: conn, subject: subject}
	if u.Query().Get("jetstream") == "true" {
		if s.stream, err = jetstream.New(conn); err != nil {
			conn.Close()
			return nil, fmt.Errorf("nats: %w", err)
		}
	}
	return s, nil
}

func (s *natsSender) Send(ctx context.Context, events []Event) (int, error) {
	for i := range events {
		var err error
		if s.stream != nil {
			_, err = s.stream.Publish(ctx, s.subject, events[i].Data)
		} else {
			err = s.conn.Publish(s.subject, events[i].Data)
		}
		if err != nil {
			if s.stream == nil {
				i = 0 // nothing was confirmed
			}
			return i, fmt.Errorf("nats: %w", err)
		}
	}
	if s.stream == nil {
		if err := s.conn.FlushWithContext(ctx); err != nil { // the server has read them when it answers
			return 0, fmt.Errorf("nats: %w", err)
		}
	}
	return len(events), nil
}

func (s *natsSender) Close() error {
	s.conn.Close()
	return nil
}

// kafka produces to a topic; events of a key go to one partition, in order.
type kafka struct{ *kgo.Client }

func (k *kafka) Send(ctx context.Context, events []Event) (int, error) {
	records := make([]*kgo.Record, len(events))
	for i := range events {
		records[i] = &kgo.Record{Key: []byte(events[i].Key), Value: events[i].Data}
	}
	if err := k.ProduceSync(ctx, records...).FirstErr(); err != nil {
		return 0, fmt.Errorf("kafka: %w", err)
	}
	return len(events), nil
}

func (k *kafka) Close() error {
	k.Client.Close()
	return nil
}

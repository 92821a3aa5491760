package member

import (
	"context"
	"errors"
	"fmt"

	"go.etcd.io/etcd/client/v3"
)

// ErrClosed says that the metadata in etcd takes no members now.
var ErrClosed = errors.New("the metadata in etcd is closed")

func errClosed(why string) error { return fmt.Errorf("%w: %s", ErrClosed, why) }

// Seal is the metadata of a store in etcd, closed to members, for whoever writes all of
// it or moves it away.
type Seal struct {
	client *clientv3.Client
	key    string
	again  bool
}

// Close closes the metadata below prefix to members and makes it the deployment's. It
// stays closed until Open, whatever becomes of this process; closing it again for the
// same reason is no error. It fails when it has members, or is closed for another reason.
func Close(ctx context.Context, client *clientv3.Client, prefix string, deployment [16]byte, why string) (*Seal, error) {
	m := &Member{client: client, prefix: prefix, ttl: DefaultTTL}
	if err := m.belong(ctx, deployment); err != nil {
		return nil, err
	}
	s := &Seal{client: client, key: prefix + keyClosed}
	resp, err := client.Txn(ctx).If(clientv3.Compare(clientv3.CreateRevision(s.key), "=", 0)).
		Then(clientv3.OpPut(s.key, why)).Else(clientv3.OpGet(s.key)).Commit()
	if err != nil {
		return nil, fmt.Errorf("close the metadata in etcd: %w", err)
	}
	if s.again = !resp.Succeeded; s.again {
		if have := string(resp.Responses[0].GetResponseRange().Kvs[0].Value); have != why {
			return nil, errClosed(have)
		}
	}
	// From now on nobody registers; who did before is listed.
	list, err := m.Peers(ctx)
	if err == nil && len(list) > 0 {
		err = fmt.Errorf("%s %s on host %s uses the metadata in etcd: stop every gateway and node first", list[0].Kind, list[0].Name, list[0].Host)
	}
	if err != nil {
		if !s.again {
			err = errors.Join(err, s.Open(ctx))
		}
		return nil, err
	}
	return s, nil
}

// Again says that it was closed before for the same reason.
func (s *Seal) Again() bool { return s.again }

// Open lets members in.
func (s *Seal) Open(ctx context.Context) error {
	if _, err := s.client.Delete(ctx, s.key); err != nil {
		return fmt.Errorf("open the metadata in etcd: %w", err)
	}
	return nil
}

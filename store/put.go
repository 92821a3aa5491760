package store

import "context"

func (s *Store) Put(ctx context.Context, req *PutRequest) (*PutResult, error) {
	return nil, ErrUnavailable
}

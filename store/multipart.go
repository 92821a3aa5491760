package store

import "context"

func (s *Store) PutPart(ctx context.Context, req *PartRequest) (*PutResult, error) {
	return nil, ErrUnavailable
}
func (s *Store) Complete(ctx context.Context, req *CompleteRequest) (*PutResult, error) {
	return nil, ErrUnavailable
}

package store

import "context"

func (s *Store) Snapshot(ctx context.Context) error { return errTODO }

package store

import "context"

func (s *Store) kickGC() {
	select {
	case s.gcKick <- struct{}{}:
	default:
	}
}
func (s *Store) gcLoop(ctx context.Context) { <-ctx.Done() }

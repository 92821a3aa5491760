package store

import "context"

// ScrubOptions of Store.Scrub.
type ScrubOptions struct {
	BytesPerSecond int64 // to read at most, on all targets together; 0 is no limit
}

// ScrubResult counts what a scrub saw.
type ScrubResult struct {
	Chunks  int64 `json:"chunks"`
	Bytes   int64 `json:"bytes"`
	Corrupt int64 `json:"corrupt"` // queued for repair
	Errors  int64 `json:"errors"`  // chunks or targets that could not be read
}

func (s *Store) Scrub(ctx context.Context, o ScrubOptions, report Report) (*ScrubResult, error) {
	return nil, errTODO
}

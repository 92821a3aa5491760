package s3api

import (
	"log/slog"
	"net/http"
)

// NewServer returns an HTTP server for h with the limits of its configuration.
// The caller sets the address or serves a listener, and shuts it down. It has no
// ReadTimeout or WriteTimeout, since bodies may be terabytes: the handler demands
// progress instead.
func NewServer(h *Handler) *http.Server {
	l := h.cfg.Limits
	return joined(&http.Server{
		Handler:           h,
		ReadHeaderTimeout: l.HeaderTimeout,
		IdleTimeout:       l.IdleTimeout,
		// net/http adds 4 KiB of its own to the limit.
		MaxHeaderBytes: max(l.HeaderBytes-4<<10, 1),
		ErrorLog:       slog.NewLogLogger(h.cfg.Logger.Handler(), slog.LevelDebug),
		// OPTIONS * goes through the same table as everything else.
		DisableGeneralOptionsHandler: true,
	})
}

package gateway

import (
	"context"
	"path/filepath"

	"github.com/weftstore/weft/cmd/weft/internal/audit"
)

// AuditSpool is where lines for the webhook wait, in the state directory.
const AuditSpool = "audit"

func (g *Gateway) openAudit(context.Context) (err error) {
	switch {
	case g.cfg.AuditLog != "":
		g.audit, err = audit.ToFile(g.cfg.AuditLog, g.log)
	case g.cfg.AuditWebhook != "":
		g.audit, err = audit.ToWebhook(audit.Webhook{URL: g.cfg.AuditWebhook, TokenFile: g.cfg.AuditTokenFile,
			Spool: filepath.Join(g.cfg.State, AuditSpool)}, g.log)
	default:
		return nil
	}
	if err == nil {
		g.onClose(g.audit.Close)
		if m := g.parts.Metrics; m != nil {
			m.Audit(g.audit.Lost)
		}
	}
	return err
}

package s3api

import (
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Globals gives the values of the condition keys that AWS has for every service: who
// asks, from where, and when (IAM User Guide, "AWS global condition context keys").
type Globals struct {
	Request *http.Request
	Who     *Principal
	Owner   string // account of the resource
	Region  string
	Now     func() time.Time
}

// Values implements policy.Context.
func (g *Globals) Values(key string) []string {
	switch key {
	case "aws:sourceip":
		host, _, err := net.SplitHostPort(g.Request.RemoteAddr)
		return optional(host, err == nil)
	case "aws:useragent":
		return g.Request.Header["User-Agent"]
	case "aws:referer":
		return g.Request.Header["Referer"]
	case "aws:securetransport":
		return []string{strconv.FormatBool(g.Request.TLS != nil)}
	case "aws:currenttime":
		return []string{g.Now().UTC().Format(time.RFC3339)}
	case "aws:epochtime":
		return []string{strconv.FormatInt(g.Now().Unix(), 10)}
	case "aws:requestedregion":
		return []string{g.Region}
	case "aws:resourceaccount":
		return optional(g.Owner, g.Owner != "")
	case "aws:principalisawsservice":
		return []string{strconv.FormatBool(g.Who.Service != "")}
	case "aws:viaawsservice": // nobody passes requests of others on here
		return []string{"false"}
	case "aws:principalservicename":
		return optional(g.Who.Service, g.Who.Service != "")
	case "aws:sourcearn":
		return optional(g.Who.SourceARN, g.Who.SourceARN != "")
	case "aws:sourceaccount":
		return optional(g.Who.SourceAccount, g.Who.SourceAccount != "")
	case "aws:principaltype":
		return []string{g.principalType()}
	}
	if g.Who.Account == "" {
		return nil
	}
	return g.principal(key)
}

// principal answers keys about somebody who signed.
func (g *Globals) principal(key string) []string {
	switch key {
	case "aws:username":
		return optional(g.Who.Name, g.Who.Name != "")
	case "aws:userid":
		return []string{g.Who.ID}
	case "aws:principalaccount":
		return []string{g.Who.Account}
	case "aws:principalarn":
		return g.Who.ARNs[len(g.Who.ARNs)-1:] // of a session, the role's
	case "aws:tokenissuetime":
		return optional(g.Who.Issued.UTC().Format(time.RFC3339), !g.Who.Issued.IsZero())
	}
	if tag, ok := strings.CutPrefix(key, "aws:principaltag/"); ok {
		v, given := g.Who.Tags[tag]
		return optional(v, given)
	}
	return nil
}

func (g *Globals) principalType() string {
	switch {
	case g.Who.Account == "":
		return "Anonymous"
	case g.Who.Root:
		return "Account"
	case g.Who.Name != "":
		return "User"
	}
	return "AssumedRole"
}

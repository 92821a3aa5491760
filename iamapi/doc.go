// Package iamapi answers the part of AWS's IAM and STS interfaces that the aws cli and
// Terraform use for users, groups, roles, policies, access keys and temporary credentials.
//
// Both are spoken at the endpoint of S3: a form that is posted to "/" with a parameter
// Action is theirs, since S3 has no such request. [Handler] passes everything else on. It
// speaks AWS's query protocol (parameters of a form in, XML out), authenticates with SigV4
// for the services iam and sts, and asks the policies of who signed about each action; the
// account is always that of who signed. Package identity keeps what is said here.
//
// A Handler is safe for concurrent use. It holds at most [MaxBody] bytes of each request
// and works on at most as many as Config.Requests says at once, for an account on a quarter of them.
package iamapi

import "time"

// Limits of a request.
const (
	MaxBody    = 128 << 10
	maxParams  = 512
	smallBody  = 8 << 10
	bodyWithin = 15 * time.Second // and how long a client may take for an answer
)

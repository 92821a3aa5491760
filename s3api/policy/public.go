package policy

import (
	"net/netip"
	"strings"
)

// confining are the condition keys that make a grant to everybody one to some, when
// they are compared with fixed values (Amazon S3 User Guide, "The meaning of public"). The key
// id of SSE-KMS is one on AWS, where a key has a policy of its own; here everybody may name it.
var confining = map[string]bool{
	"aws:principalaccount": true, "aws:principalarn": true, "aws:principalorgid": true, "aws:principalorgpaths": true,
	"aws:sourceaccount": true, "aws:sourcearn": true, "aws:sourceorgid": true, "aws:sourceip": true, "aws:sourcevpc": true,
	"aws:sourcevpce": true, "aws:userid": true, "s3:dataaccesspointaccount": true, "s3:dataaccesspointarn": true,
}

// Public reports whether the document allows something to everybody, but for conditions
// that confine it to known places or principals. nil is not public.
func (d *Document) Public() bool {
	if d == nil {
		return false
	}
	for i := range d.statements {
		s := &d.statements[i]
		if s.allow && s.principals != nil && s.principals.everybody && !s.confined() {
			return true
		}
	}
	return false
}

func (s *statement) confined() bool {
	for i := range s.conditions {
		c := &s.conditions[i]
		if confining[c.key] && !c.ifExists && c.each != forAllValues && !c.op.negated && c.fixed() {
			return true
		}
	}
	return false
}

// fixed reports whether every operand is a known value.
func (c *condition) fixed() bool {
	for i := range c.operands {
		o := &c.operands[i]
		switch c.op.name {
		case "StringEquals", "StringEqualsIgnoreCase", "StringLike":
			if !o.pattern.fixed() {
				return false
			}
		case "ArnEquals", "ArnLike":
			// A wildcard within an account still names that account.
			if !o.arn[4].fixed() || o.arn[4].text == "" {
				return false
			}
		case "IpAddress":
			if wide(o.prefix) {
				return false
			}
		default:
			return false
		}
	}
	return true
}

// wide are ranges that AWS calls too broad to be known places: larger than a /8 of
// IPv4 or a /32 of IPv6.
func wide(p netip.Prefix) bool {
	if p.Addr().Is4() {
		return p.Bits() < 8
	}
	return p.Bits() < 32
}

// s3Actions are the names that bucket policies may have (Service Authorization
// Reference, "Actions, resources, and condition keys for Amazon S3").
var s3Actions = strings.Fields(`
AbortMultipartUpload BypassGovernanceRetention CreateBucket DeleteBucket DeleteBucketPolicy DeleteBucketWebsite
DeleteObject DeleteObjectTagging DeleteObjectVersion DeleteObjectVersionTagging GetAccelerateConfiguration
GetAnalyticsConfiguration GetBucketAcl GetBucketCORS GetBucketLocation GetBucketLogging GetBucketNotification
GetBucketObjectLockConfiguration GetBucketOwnershipControls GetBucketPolicy GetBucketPolicyStatus
GetBucketPublicAccessBlock GetBucketRequestPayment GetBucketTagging GetBucketVersioning GetBucketWebsite
GetEncryptionConfiguration GetIntelligentTieringConfiguration GetInventoryConfiguration GetLifecycleConfiguration
GetMetricsConfiguration GetObject GetObjectAcl GetObjectAttributes GetObjectLegalHold GetObjectRetention
GetObjectTagging GetObjectTorrent GetObjectVersion GetObjectVersionAcl GetObjectVersionAttributes
GetObjectVersionForReplication GetObjectVersionTagging GetObjectVersionTorrent GetReplicationConfiguration
InitiateReplication ListBucket ListBucketMultipartUploads ListBucketVersions ListMultipartUploadParts
ObjectOwnerOverrideToBucketOwner PutAccelerateConfiguration PutAnalyticsConfiguration PutBucketAcl PutBucketCORS
PutBucketLogging PutBucketNotification PutBucketObjectLockConfiguration PutBucketOwnershipControls PutBucketPolicy
PutBucketPublicAccessBlock PutBucketRequestPayment PutBucketTagging PutBucketVersioning PutBucketWebsite
PutEncryptionConfiguration PutIntelligentTieringConfiguration PutInventoryConfiguration PutLifecycleConfiguration
PutMetricsConfiguration PutObject PutObjectAcl PutObjectLegalHold PutObjectRetention PutObjectTagging
PutObjectVersionAcl PutObjectVersionTagging PutReplicationConfiguration RenameObject ReplicateDelete ReplicateObject
ReplicateTags RestoreObject UpdateObjectEncryption`)

package s3api

import "strings"

// rule maps an operation to the actions that a policy must allow for it (Service
// Authorization Reference, "Actions, resources, and condition keys for Amazon S3", and
// S3's API Reference, "Permissions" of each operation). The resource is the bucket or
// the object that the request is about.
type rule struct {
	action  string // without "s3:"
	version string // asked for instead when the request names a version; "" for none
	// open: what decides is not a policy about the request as a whole. The operation
	// itself asks for each object, or answers from the bucket's configuration.
	open bool
	// recovers: the root of the owner's account may always, so that a policy which denies
	// everything can be replaced.
	recovers bool
}

// rules has a row for each operation of the route table; a test sees to it.
var rules = map[string]rule{
	"ListBuckets": {action: "ListAllMyBuckets"},

	"CreateBucket":         {action: "CreateBucket"},
	"DeleteBucket":         {action: "DeleteBucket"},
	"HeadBucket":           {action: "ListBucket"},
	"ListObjects":          {action: "ListBucket"},
	"ListObjectsV2":        {action: "ListBucket"},
	"ListObjectVersions":   {action: "ListBucketVersions"},
	"ListMultipartUploads": {action: "ListBucketMultipartUploads"},
	"DeleteObjects":        {open: true},
	"PostObject":           {open: true},
	"OptionsBucket":        {open: true},
	"OptionsObject":        {open: true},
	"CreateSession":        {action: "CreateSession"},

	"GetObject":               {action: "GetObject", version: "GetObjectVersion"},
	"HeadObject":              {action: "GetObject", version: "GetObjectVersion"},
	"GetObjectAttributes":     {action: "GetObjectAttributes", version: "GetObjectVersionAttributes"},
	"SelectObjectContent":     {action: "GetObject"},
	"GetObjectTorrent":        {action: "GetObjectTorrent", version: "GetObjectVersionTorrent"},
	"PutObject":               {action: "PutObject"},
	"CopyObject":              {action: "PutObject"},
	"RenameObject":            {action: "PutObject"},
	"CreateMultipartUpload":   {action: "PutObject"},
	"UploadPart":              {action: "PutObject"},
	"UploadPartCopy":          {action: "PutObject"},
	"CompleteMultipartUpload": {action: "PutObject"},
	"AbortMultipartUpload":    {action: "AbortMultipartUpload"},
	"ListParts":               {action: "ListMultipartUploadParts"},
	"DeleteObject":            {action: "DeleteObject", version: "DeleteObjectVersion"},
	"RestoreObject":           {action: "RestoreObject"},
	"UpdateObjectEncryption":  {action: "UpdateObjectEncryption"},

	"GetObjectTagging":       {action: "GetObjectTagging", version: "GetObjectVersionTagging"},
	"PutObjectTagging":       {action: "PutObjectTagging", version: "PutObjectVersionTagging"},
	"DeleteObjectTagging":    {action: "DeleteObjectTagging", version: "DeleteObjectVersionTagging"},
	"GetObjectAcl":           {action: "GetObjectAcl", version: "GetObjectVersionAcl"},
	"PutObjectAcl":           {action: "PutObjectAcl", version: "PutObjectVersionAcl"},
	"GetObjectLegalHold":     {action: "GetObjectLegalHold"},
	"PutObjectLegalHold":     {action: "PutObjectLegalHold"},
	"GetObjectRetention":     {action: "GetObjectRetention"},
	"PutObjectRetention":     {action: "PutObjectRetention"},
	"GetObjectAnnotation":    {action: "GetObjectAnnotation"},
	"PutObjectAnnotation":    {action: "PutObjectAnnotation"},
	"DeleteObjectAnnotation": {action: "DeleteObjectAnnotation"},

	"GetBucketPolicy":            {action: "GetBucketPolicy", recovers: true},
	"PutBucketPolicy":            {action: "PutBucketPolicy", recovers: true},
	"DeleteBucketPolicy":         {action: "DeleteBucketPolicy", recovers: true},
	"GetBucketPolicyStatus":      {action: "GetBucketPolicyStatus"},
	"GetPublicAccessBlock":       {action: "GetBucketPublicAccessBlock"},
	"PutPublicAccessBlock":       {action: "PutBucketPublicAccessBlock"},
	"DeletePublicAccessBlock":    {action: "PutBucketPublicAccessBlock"},
	"GetBucketOwnershipControls": {action: "GetBucketOwnershipControls"},
	"PutBucketOwnershipControls": {action: "PutBucketOwnershipControls"},

	"DeleteBucketOwnershipControls": {action: "PutBucketOwnershipControls"},

	"GetBucketAcl":                                     {action: "GetBucketAcl"},
	"PutBucketAcl":                                     {action: "PutBucketAcl"},
	"GetBucketLocation":                                {action: "GetBucketLocation"},
	"GetBucketVersioning":                              {action: "GetBucketVersioning"},
	"PutBucketVersioning":                              {action: "PutBucketVersioning"},
	"GetBucketTagging":                                 {action: "GetBucketTagging"},
	"PutBucketTagging":                                 {action: "PutBucketTagging"},
	"DeleteBucketTagging":                              {action: "PutBucketTagging"},
	"GetBucketCors":                                    {action: "GetBucketCORS"},
	"PutBucketCors":                                    {action: "PutBucketCORS"},
	"DeleteBucketCors":                                 {action: "PutBucketCORS"},
	"GetBucketEncryption":                              {action: "GetEncryptionConfiguration"},
	"PutBucketEncryption":                              {action: "PutEncryptionConfiguration"},
	"DeleteBucketEncryption":                           {action: "PutEncryptionConfiguration"},
	"GetBucketLifecycleConfiguration":                  {action: "GetLifecycleConfiguration"},
	"PutBucketLifecycleConfiguration":                  {action: "PutLifecycleConfiguration"},
	"DeleteBucketLifecycle":                            {action: "PutLifecycleConfiguration"},
	"GetBucketLogging":                                 {action: "GetBucketLogging"},
	"PutBucketLogging":                                 {action: "PutBucketLogging"},
	"GetBucketNotificationConfiguration":               {action: "GetBucketNotification"},
	"PutBucketNotificationConfiguration":               {action: "PutBucketNotification"},
	"GetObjectLockConfiguration":                       {action: "GetBucketObjectLockConfiguration"},
	"PutObjectLockConfiguration":                       {action: "PutBucketObjectLockConfiguration"},
	"GetBucketReplication":                             {action: "GetReplicationConfiguration"},
	"PutBucketReplication":                             {action: "PutReplicationConfiguration"},
	"DeleteBucketReplication":                          {action: "PutReplicationConfiguration"},
	"GetBucketRequestPayment":                          {action: "GetBucketRequestPayment"},
	"PutBucketRequestPayment":                          {action: "PutBucketRequestPayment"},
	"GetBucketWebsite":                                 {action: "GetBucketWebsite"},
	"PutBucketWebsite":                                 {action: "PutBucketWebsite"},
	"DeleteBucketWebsite":                              {action: "DeleteBucketWebsite"},
	"GetBucketAccelerateConfiguration":                 {action: "GetAccelerateConfiguration"},
	"PutBucketAccelerateConfiguration":                 {action: "PutAccelerateConfiguration"},
	"GetBucketAnalyticsConfiguration":                  {action: "GetAnalyticsConfiguration"},
	"PutBucketAnalyticsConfiguration":                  {action: "PutAnalyticsConfiguration"},
	"DeleteBucketAnalyticsConfiguration":               {action: "PutAnalyticsConfiguration"},
	"GetBucketIntelligentTieringConfiguration":         {action: "GetIntelligentTieringConfiguration"},
	"PutBucketIntelligentTieringConfiguration":         {action: "PutIntelligentTieringConfiguration"},
	"DeleteBucketIntelligentTieringConfiguration":      {action: "PutIntelligentTieringConfiguration"},
	"GetBucketInventoryConfiguration":                  {action: "GetInventoryConfiguration"},
	"PutBucketInventoryConfiguration":                  {action: "PutInventoryConfiguration"},
	"DeleteBucketInventoryConfiguration":               {action: "PutInventoryConfiguration"},
	"GetBucketMetricsConfiguration":                    {action: "GetMetricsConfiguration"},
	"PutBucketMetricsConfiguration":                    {action: "PutMetricsConfiguration"},
	"DeleteBucketMetricsConfiguration":                 {action: "PutMetricsConfiguration"},
	"GetBucketMetadataConfiguration":                   {action: "GetBucketMetadataConfiguration"},
	"DeleteBucketMetadataConfiguration":                {action: "DeleteBucketMetadataConfiguration"},
	"CreateBucketMetadataConfiguration":                {action: "CreateBucketMetadataConfiguration"},
	"GetBucketMetadataTableConfiguration":              {action: "GetBucketMetadataTableConfiguration"},
	"DeleteBucketMetadataTableConfiguration":           {action: "DeleteBucketMetadataTableConfiguration"},
	"CreateBucketMetadataTableConfiguration":           {action: "CreateBucketMetadataTableConfiguration"},
	"UpdateBucketMetadataAnnotationTableConfiguration": {action: "UpdateBucketMetadataAnnotationTableConfiguration"},
	"UpdateBucketMetadataInventoryTableConfiguration":  {action: "UpdateBucketMetadataInventoryTableConfiguration"},
	"UpdateBucketMetadataJournalTableConfiguration":    {action: "UpdateBucketMetadataJournalTableConfiguration"},
	"GetBucketAbac":                                    {action: "GetBucketAbac"},
	"PutBucketAbac":                                    {action: "PutBucketAbac"},
}

// need is one action on one resource that must be allowed.
type need struct {
	action      string // with "s3:"
	bucket, key string // key is "" for a bucket
	version     string
	source      bool // of what is copied or renamed
}

// needs lists what a request must be allowed, the rule's own first.
func (c *call) needs(r *rule) ([]need, error) {
	version := ""
	if c.route.Level == ObjectLevel && r.action != "PutObject" { // which writes a new one, whatever the query says
		version = c.query.get("versionId")
	}
	first := need{action: "s3:" + r.action, bucket: c.bucket, key: c.key, version: version}
	if version != "" && r.version != "" {
		first.action = "s3:" + r.version
	}
	list := append(c.ask.needs[:0], first)
	also := func(action string) {
		list = append(list, need{action: "s3:" + action, bucket: c.bucket, key: c.key, version: version})
	}
	switch c.route.Operation {
	case "GetObjectAttributes":
		if also("GetObject"); version != "" {
			list[1].action = "s3:GetObjectVersion"
		}
	case "PutObject", "CopyObject", "CreateMultipartUpload":
		c.writeNeeds(also)
	case "CreateBucket":
		c.createNeeds(also)
	case "RenameObject":
		from, err := c.renameSource()
		if err != nil {
			return nil, err
		}
		for _, action := range []string{"s3:GetObject", "s3:DeleteObject"} {
			list = append(list, need{action: action, bucket: c.bucket, key: from, source: true})
		}
	}
	if c.route.Header == copySourceHeader {
		src, err := parseCopySource(c.r.Header[copySourceHeader][0])
		if err != nil {
			return nil, err
		}
		n := need{action: "s3:GetObject", bucket: src.bucket, key: src.key, version: src.versionID, source: true}
		if src.versionID != "" {
			n.action = "s3:GetObjectVersion"
		}
		list = append(list, n)
	}
	c.bypassNeeds(also)
	return list, nil
}

// writeNeeds are for what comes with an object.
func (c *call) writeNeeds(also func(string)) {
	h := c.r.Header
	if len(h["X-Amz-Tagging"]) > 0 {
		also("PutObjectTagging")
	}
	if len(h["X-Amz-Acl"]) > 0 || c.hasGrants() {
		also("PutObjectAcl")
	}
	if len(h["X-Amz-Object-Lock-Mode"]) > 0 || len(h["X-Amz-Object-Lock-Retain-Until-Date"]) > 0 {
		also("PutObjectRetention")
	}
	if len(h["X-Amz-Object-Lock-Legal-Hold"]) > 0 {
		also("PutObjectLegalHold")
	}
}

func (c *call) createNeeds(also func(string)) {
	h := c.r.Header
	if len(h["X-Amz-Acl"]) > 0 || c.hasGrants() {
		also("PutBucketAcl")
	}
	if len(h["X-Amz-Object-Ownership"]) > 0 {
		also("PutBucketOwnershipControls")
	}
	if v := h["X-Amz-Bucket-Object-Lock-Enabled"]; len(v) > 0 && strings.EqualFold(v[0], "true") {
		also("PutBucketObjectLockConfiguration")
		also("PutBucketVersioning")
	}
}

// bypassNeeds is for what removes or weakens governance retention.
func (c *call) bypassNeeds(also func(string)) {
	if v := c.r.Header["X-Amz-Bypass-Governance-Retention"]; len(v) > 0 && strings.EqualFold(v[0], "true") && c.route.Level == ObjectLevel {
		also("BypassGovernanceRetention")
	}
}

func (c *call) hasGrants() bool {
	for name := range c.r.Header {
		if strings.HasPrefix(name, "X-Amz-Grant-") {
			return true
		}
	}
	return false
}

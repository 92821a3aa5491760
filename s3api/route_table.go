package s3api

import "net/http"

const copySourceHeader = "X-Amz-Copy-Source"

// table is S3's whole list of operations. The first row that matches wins, so
// rows with more conditions come first.
func table() []Route {
	rows := make([]Route, 0, 128)
	rows = append(rows, objectRoutes()...)
	rows = append(rows, lockRoutes()...)
	rows = append(rows, dataRoutes()...)
	rows = append(rows, settingRoutes()...)
	rows = append(rows, accessRoutes()...)
	rows = append(rows, bucketRoutes()...)
	rows = append(rows, serviceRoutes()...)
	return append(rows, missingRoutes()...)
}

func objectRoutes() []Route {
	const o = ObjectLevel
	return []Route{
		{"GetObjectTagging", http.MethodGet, o, "tagging", "", 200, (*call).getObjectTagging},
		{"GetObjectAttributes", http.MethodGet, o, "attributes", "", 200, (*call).getObjectAttributes},
		{"ListParts", http.MethodGet, o, "uploadId", "", 200, (*call).listParts},
		{"GetObjectAcl", http.MethodGet, o, "acl", "", 200, (*call).getObjectACL},
		{"PutObjectAcl", http.MethodPut, o, "acl", "", 200, (*call).putObjectACL},
		{"GetObject", http.MethodGet, o, "", "", 200, (*call).getObject},
		{"HeadObject", http.MethodHead, o, "", "", 200, (*call).headObject},
		{"PutObjectTagging", http.MethodPut, o, "tagging", "", 200, (*call).putObjectTagging},
		{"RenameObject", http.MethodPut, o, "renameObject", "", 200, (*call).renameObject},
		{"UploadPartCopy", http.MethodPut, o, "uploadId", copySourceHeader, 200, (*call).uploadPartCopy},
		{"UploadPart", http.MethodPut, o, "uploadId", "", 200, (*call).uploadPart},
		{"CopyObject", http.MethodPut, o, "", copySourceHeader, 200, (*call).copyObject},
		{"PutObject", http.MethodPut, o, "", "", 200, (*call).putObject},
		{"CreateMultipartUpload", http.MethodPost, o, "uploads", "", 200, (*call).createMultipartUpload},
		{"CompleteMultipartUpload", http.MethodPost, o, "uploadId", "", 200, (*call).completeMultipartUpload},
		{"DeleteObjectTagging", http.MethodDelete, o, "tagging", "", 204, (*call).deleteObjectTagging},
		{"AbortMultipartUpload", http.MethodDelete, o, "uploadId", "", 204, (*call).abortMultipartUpload},
		{"DeleteObject", http.MethodDelete, o, "", "", 204, (*call).deleteObject},
	}
}

func bucketRoutes() []Route {
	const b = BucketLevel
	return []Route{
		{"GetBucketLocation", http.MethodGet, b, "location", "", 200, (*call).getBucketLocation},
		{"GetBucketVersioning", http.MethodGet, b, "versioning", "", 200, (*call).getBucketVersioning},
		{"GetBucketTagging", http.MethodGet, b, "tagging", "", 200, (*call).getBucketTagging},
		{"ListMultipartUploads", http.MethodGet, b, "uploads", "", 200, (*call).listMultipartUploads},
		{"ListObjectVersions", http.MethodGet, b, "versions", "", 200, (*call).listObjectVersions},
		{"ListObjectsV2", http.MethodGet, b, "list-type=2", "", 200, (*call).listObjectsV2},
		{"ListObjects", http.MethodGet, b, "", "", 200, (*call).listObjects},
		{"HeadBucket", http.MethodHead, b, "", "", 200, (*call).headBucket},
		{"PutBucketVersioning", http.MethodPut, b, "versioning", "", 200, (*call).putBucketVersioning},
		{"PutBucketTagging", http.MethodPut, b, "tagging", "", 204, (*call).putBucketTagging},
		{"CreateBucket", http.MethodPut, b, "", "", 200, (*call).createBucket},
		{"PostObject", http.MethodPost, b, "", "", 204, (*call).postObject},
		{"DeleteObjects", http.MethodPost, b, "delete", "", 200, (*call).deleteObjects},
		{"DeleteBucketTagging", http.MethodDelete, b, "tagging", "", 204, (*call).deleteBucketTagging},
		{"DeleteBucket", http.MethodDelete, b, "", "", 204, (*call).deleteBucket},
	}
}

// accessRoutes are about who may use a bucket.
func accessRoutes() []Route {
	const b = BucketLevel
	return []Route{
		{"GetBucketAcl", http.MethodGet, b, "acl", "", 200, (*call).getBucketACL},
		{"PutBucketAcl", http.MethodPut, b, "acl", "", 200, (*call).putBucketACL},
		{"GetBucketOwnershipControls", http.MethodGet, b, "ownershipControls", "", 200, (*call).getBucketOwnershipControls},
		{"PutBucketOwnershipControls", http.MethodPut, b, "ownershipControls", "", 200, (*call).putBucketOwnershipControls},
		{"DeleteBucketOwnershipControls", http.MethodDelete, b, "ownershipControls", "", 204, (*call).deleteBucketOwnershipControls},
		{"GetBucketNotificationConfiguration", http.MethodGet, b, "notification", "", 200, (*call).getBucketNotification},
		{"PutBucketNotificationConfiguration", http.MethodPut, b, "notification", "", 200, (*call).putBucketNotification},
		{"GetBucketEncryption", http.MethodGet, b, "encryption", "", 200, (*call).getBucketEncryption},
		{"PutBucketEncryption", http.MethodPut, b, "encryption", "", 200, (*call).putBucketEncryption},
		{"DeleteBucketEncryption", http.MethodDelete, b, "encryption", "", 204, (*call).deleteBucketEncryption},
		{"GetBucketPolicy", http.MethodGet, b, "policy", "", 200, (*call).getBucketPolicy},
		{"PutBucketPolicy", http.MethodPut, b, "policy", "", 204, (*call).putBucketPolicy},
		{"DeleteBucketPolicy", http.MethodDelete, b, "policy", "", 204, (*call).deleteBucketPolicy},
		{"GetBucketPolicyStatus", http.MethodGet, b, "policyStatus", "", 200, (*call).getBucketPolicyStatus},
		{"GetPublicAccessBlock", http.MethodGet, b, "publicAccessBlock", "", 200, (*call).getPublicAccessBlock},
		{"PutPublicAccessBlock", http.MethodPut, b, "publicAccessBlock", "", 200, (*call).putPublicAccessBlock},
		{"DeletePublicAccessBlock", http.MethodDelete, b, "publicAccessBlock", "", 204, (*call).deletePublicAccessBlock},
	}
}

// dataRoutes are about what becomes of objects by itself, and about scripts in browsers.
func dataRoutes() []Route {
	const b, o = BucketLevel, ObjectLevel
	return []Route{
		{"GetBucketCors", http.MethodGet, b, "cors", "", 200, (*call).getBucketCors},
		{"PutBucketCors", http.MethodPut, b, "cors", "", 200, (*call).putBucketCors},
		{"DeleteBucketCors", http.MethodDelete, b, "cors", "", 204, (*call).deleteBucketCors},
		{"GetBucketLifecycleConfiguration", http.MethodGet, b, "lifecycle", "", 200, (*call).getBucketLifecycle},
		{"PutBucketLifecycleConfiguration", http.MethodPut, b, "lifecycle", "", 200, (*call).putBucketLifecycle},
		{"DeleteBucketLifecycle", http.MethodDelete, b, "lifecycle", "", 204, (*call).deleteBucketLifecycle},
		{"OptionsBucket", http.MethodOptions, b, "", "", 200, (*call).preflight},
		{"OptionsObject", http.MethodOptions, o, "", "", 200, (*call).preflight},
	}
}

// settingRoutes are about what is the same for each bucket.
func settingRoutes() []Route {
	const b = BucketLevel
	return []Route{
		{"GetBucketLogging", http.MethodGet, b, "logging", "", 200, (*call).getBucketLogging},
		{"PutBucketLogging", http.MethodPut, b, "logging", "", 200, (*call).putBucketLogging},
		{"GetBucketRequestPayment", http.MethodGet, b, "requestPayment", "", 200, (*call).getBucketRequestPayment},
		{"PutBucketRequestPayment", http.MethodPut, b, "requestPayment", "", 200, (*call).putBucketRequestPayment},
		{"GetBucketAccelerateConfiguration", http.MethodGet, b, "accelerate", "", 200, (*call).getBucketAccelerate},
		{"PutBucketAccelerateConfiguration", http.MethodPut, b, "accelerate", "", 200, (*call).putBucketAccelerate},
		{"GetBucketWebsite", http.MethodGet, b, "website", "", 200, (*call).getBucketWebsite},
		{"DeleteBucketWebsite", http.MethodDelete, b, "website", "", 204, (*call).deleteNothing},
		{"GetBucketReplication", http.MethodGet, b, "replication", "", 200, (*call).getBucketReplication},
		{"DeleteBucketReplication", http.MethodDelete, b, "replication", "", 204, (*call).deleteNothing},
	}
}

// lockRoutes are about object lock.
func lockRoutes() []Route {
	const b, o = BucketLevel, ObjectLevel
	return []Route{
		{"GetObjectLockConfiguration", http.MethodGet, b, "object-lock", "", 200, (*call).getObjectLockConfiguration},
		{"PutObjectLockConfiguration", http.MethodPut, b, "object-lock", "", 200, (*call).putObjectLockConfiguration},
		{"GetObjectRetention", http.MethodGet, o, "retention", "", 200, (*call).getObjectRetention},
		{"PutObjectRetention", http.MethodPut, o, "retention", "", 200, (*call).putObjectRetention},
		{"GetObjectLegalHold", http.MethodGet, o, "legal-hold", "", 200, (*call).getObjectLegalHold},
		{"PutObjectLegalHold", http.MethodPut, o, "legal-hold", "", 200, (*call).putObjectLegalHold},
	}
}

func serviceRoutes() []Route {
	return []Route{
		{"ListBuckets", http.MethodGet, Service, "", "", 200, (*call).listBuckets},
	}
}

// missingRoutes are the operations of S3 that are not here. They are listed so
// that their parameters are known, and none of them is taken for another.
func missingRoutes() []Route {
	var rows []Route
	add := func(level Level, method, query, name string) {
		if name != "" {
			rows = append(rows, Route{Operation: name, Method: method, Level: level, Query: query})
		}
	}
	for _, m := range [...]struct {
		level                Level
		query, get, put, del string
	}{
		{BucketLevel, "abac", "GetBucketAbac", "PutBucketAbac", ""},
		{BucketLevel, "analytics", "GetBucketAnalyticsConfiguration", "PutBucketAnalyticsConfiguration", "DeleteBucketAnalyticsConfiguration"},
		{BucketLevel, "intelligent-tiering", "GetBucketIntelligentTieringConfiguration", "PutBucketIntelligentTieringConfiguration", "DeleteBucketIntelligentTieringConfiguration"},
		{BucketLevel, "inventory", "GetBucketInventoryConfiguration", "PutBucketInventoryConfiguration", "DeleteBucketInventoryConfiguration"},
		{BucketLevel, "metadataConfiguration", "GetBucketMetadataConfiguration", "", "DeleteBucketMetadataConfiguration"},
		{BucketLevel, "metadataAnnotationTable", "", "UpdateBucketMetadataAnnotationTableConfiguration", ""},
		{BucketLevel, "metadataInventoryTable", "", "UpdateBucketMetadataInventoryTableConfiguration", ""},
		{BucketLevel, "metadataJournalTable", "", "UpdateBucketMetadataJournalTableConfiguration", ""},
		{BucketLevel, "metadataTable", "GetBucketMetadataTableConfiguration", "", "DeleteBucketMetadataTableConfiguration"},
		{BucketLevel, "metrics", "GetBucketMetricsConfiguration", "PutBucketMetricsConfiguration", "DeleteBucketMetricsConfiguration"},
		{BucketLevel, "replication", "", "PutBucketReplication", ""},
		{BucketLevel, "session", "CreateSession", "", ""},
		{BucketLevel, "website", "", "PutBucketWebsite", ""},
		{ObjectLevel, "annotation", "GetObjectAnnotation", "PutObjectAnnotation", "DeleteObjectAnnotation"},
		{ObjectLevel, "encryption", "", "UpdateObjectEncryption", ""},
		{ObjectLevel, "torrent", "GetObjectTorrent", "", ""},
	} {
		add(m.level, http.MethodGet, m.query, m.get)
		add(m.level, http.MethodPut, m.query, m.put)
		add(m.level, http.MethodDelete, m.query, m.del)
	}
	add(BucketLevel, http.MethodPost, "metadataConfiguration", "CreateBucketMetadataConfiguration")
	add(BucketLevel, http.MethodPost, "metadataTable", "CreateBucketMetadataTableConfiguration")
	add(ObjectLevel, http.MethodPost, "restore", "RestoreObject")
	add(ObjectLevel, http.MethodPost, "select", "SelectObjectContent")
	return rows
}

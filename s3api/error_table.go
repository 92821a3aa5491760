package s3api

import "net/http"

// The errors of S3 that this package returns, with AWS's codes, statuses and
// words (Amazon S3 API Reference, "Error responses").
var (
	errACLNotSupported            = &Error{Code: "AccessControlListNotSupported", Status: http.StatusBadRequest, Message: "The bucket does not allow ACLs"}
	errAccessDenied               = &Error{Code: "AccessDenied", Status: http.StatusForbidden, Message: "Access Denied"}
	errAccessForbidden            = &Error{Code: "AccessForbidden", Status: http.StatusForbidden, Message: "CORSResponse: This CORS request is not allowed. This is usually because the evaluation of Origin, request method / Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the resource's CORS spec."}
	errBadDigest                  = &Error{Code: "BadDigest", Status: http.StatusBadRequest, Message: "The Content-MD5 you specified did not match what we received."}
	errBadRequest                 = &Error{Code: "BadRequest", Status: http.StatusBadRequest, Message: "Bad Request"}
	errBucketAlreadyExists        = &Error{Code: "BucketAlreadyExists", Status: http.StatusConflict, Message: "The requested bucket name is not available. The bucket namespace is shared by all users of the system. Please select a different name and try again."}
	errBucketAlreadyOwnedByYou    = &Error{Code: "BucketAlreadyOwnedByYou", Status: http.StatusConflict, Message: "Your previous request to create the named bucket succeeded and you already own it."}
	errBucketNotEmpty             = &Error{Code: "BucketNotEmpty", Status: http.StatusConflict, Message: "The bucket you tried to delete is not empty"}
	errConditionalRequestConflict = &Error{Code: "ConditionalRequestConflict", Status: http.StatusConflict, Message: "A conflicting conditional operation occurred during processing of this request."}
	errEncryptionMismatch         = &Error{Code: "EncryptionTypeMismatch", Status: http.StatusBadRequest, Message: "The existing object was created with a different encryption type."}
	errEntityTooLarge             = &Error{Code: "EntityTooLarge", Status: http.StatusBadRequest, Message: "Your proposed upload exceeds the maximum allowed size"}
	errEntityTooSmall             = &Error{Code: "EntityTooSmall", Status: http.StatusBadRequest, Message: "Your proposed upload is smaller than the minimum allowed size"}
	errIdempotencyMismatch        = &Error{Code: "IdempotencyParameterMismatch", Status: http.StatusBadRequest, Message: "The request has the token of another request, whose parameters are different."}
	errIllegalLocation            = &Error{Code: "IllegalLocationConstraintException", Status: http.StatusBadRequest, Message: "The specified location-constraint is incompatible for the region specific endpoint this request was sent to."}
	errIncompleteBody             = &Error{Code: "IncompleteBody", Status: http.StatusBadRequest, Message: "You did not provide the number of bytes specified by the Content-Length HTTP header"}
	errInsufficientStorage        = &Error{Code: "InsufficientStorage", Status: http.StatusInsufficientStorage, Message: "There is not enough free space to store the object."}
	errInternal                   = &Error{Code: "InternalError", Status: http.StatusInternalServerError, Message: "We encountered an internal error. Please try again."}
	errInvalidArgument            = &Error{Code: "InvalidArgument", Status: http.StatusBadRequest, Message: "Invalid Argument"}
	errInvalidBucketACL           = &Error{Code: "InvalidBucketAclWithObjectOwnership", Status: http.StatusBadRequest, Message: "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting"}
	errInvalidBucketState         = &Error{Code: "InvalidBucketState", Status: http.StatusConflict, Message: "The request is not valid with the current state of the bucket."}
	errInvalidBucketName          = &Error{Code: "InvalidBucketName", Status: http.StatusBadRequest, Message: "The specified bucket is not valid."}
	errInvalidDigest              = &Error{Code: "InvalidDigest", Status: http.StatusBadRequest, Message: "The Content-MD5 you specified was invalid."}
	errInvalidEncryptionAlgorithm = &Error{Code: "InvalidEncryptionAlgorithmError", Status: http.StatusBadRequest, Message: "The Encryption request you specified is not valid. Supported value: AES256."}
	errInvalidPart                = &Error{Code: "InvalidPart", Status: http.StatusBadRequest, Message: "One or more of the specified parts could not be found.  The part may not have been uploaded, or the specified entity tag may not match the part's entity tag."}
	errInvalidPartOrder           = &Error{Code: "InvalidPartOrder", Status: http.StatusBadRequest, Message: "The list of parts was not in ascending order. Parts must be ordered by part number."}
	errInvalidPartNumber          = &Error{Code: "InvalidPartNumber", Status: http.StatusRequestedRangeNotSatisfiable, Message: "The requested partnumber is not satisfiable"}
	errInvalidTargetBucket        = &Error{Code: "InvalidTargetBucketForLogging", Status: http.StatusBadRequest, Message: "The owner for the bucket to be logged and the target bucket must be the same"}
	errInvalidRange               = &Error{Code: "InvalidRange", Status: http.StatusRequestedRangeNotSatisfiable, Message: "The requested range is not satisfiable"}
	errInvalidRequest             = &Error{Code: "InvalidRequest", Status: http.StatusBadRequest, Message: "Invalid Request"}
	errInvalidRetention           = &Error{Code: "InvalidRetentionPeriod", Status: http.StatusBadRequest, Message: "The retention period specified is invalid."}
	errInvalidStorageClass        = &Error{Code: "InvalidStorageClass", Status: http.StatusBadRequest, Message: "The storage class you specified is not valid"}
	errInvalidTag                 = &Error{Code: "InvalidTag", Status: http.StatusBadRequest, Message: "The tag provided was not a valid tag. This error can occur if the tag did not pass input validation."}
	errInvalidURI                 = &Error{Code: "InvalidURI", Status: http.StatusBadRequest, Message: "Couldn't parse the specified URI."}
	errInvalidWriteOffset         = &Error{Code: "InvalidWriteOffset", Status: http.StatusBadRequest, Message: "The write offset value that you specified does not match the current object size."}
	errKeyTooLong                 = &Error{Code: "KeyTooLongError", Status: http.StatusBadRequest, Message: "Your key is too long"}
	errKMSNotFound                = &Error{Code: "KMS.NotFoundException", Status: http.StatusBadRequest, Message: "Invalid keyId: there is no such key, or it may not be used"}
	errMalformedACL               = &Error{Code: "MalformedACLError", Status: http.StatusBadRequest, Message: "The XML you provided was not well-formed or did not validate against our published schema"}
	errMalformedPolicy            = &Error{Code: "MalformedPolicy", Status: http.StatusBadRequest, Message: "Policies must be valid JSON and the first byte must be '{'"}
	errMalformedXML               = &Error{Code: "MalformedXML", Status: http.StatusBadRequest, Message: "The XML you provided was not well-formed or did not validate against our published schema"}
	errMaxMessageLength           = &Error{Code: "MaxMessageLengthExceeded", Status: http.StatusBadRequest, Message: "Your request was too big."}
	errMetadataTooLarge           = &Error{Code: "MetadataTooLarge", Status: http.StatusBadRequest, Message: "Your metadata headers exceed the maximum allowed metadata size"}
	errMethodNotAllowed           = &Error{Code: "MethodNotAllowed", Status: http.StatusMethodNotAllowed, Message: "The specified method is not allowed against this resource."}
	errMissingContentLength       = &Error{Code: "MissingContentLength", Status: http.StatusLengthRequired, Message: "You must provide the Content-Length HTTP header."}
	errNoSuchBucket               = &Error{Code: "NoSuchBucket", Status: http.StatusNotFound, Message: "The specified bucket does not exist"}
	errNoSuchBucketPolicy         = &Error{Code: "NoSuchBucketPolicy", Status: http.StatusNotFound, Message: "The bucket policy does not exist"}
	errNoSuchCORS                 = &Error{Code: "NoSuchCORSConfiguration", Status: http.StatusNotFound, Message: "The CORS configuration does not exist"}
	errNoSuchEncryption           = &Error{Code: "ServerSideEncryptionConfigurationNotFoundError", Status: http.StatusNotFound, Message: "The server side encryption configuration was not found"}
	errNoSuchKey                  = &Error{Code: "NoSuchKey", Status: http.StatusNotFound, Message: "The specified key does not exist."}
	errNoSuchLockConfiguration    = &Error{Code: "ObjectLockConfigurationNotFoundError", Status: http.StatusNotFound, Message: "Object Lock configuration does not exist for this bucket"}
	errNoSuchObjectLock           = &Error{Code: "NoSuchObjectLockConfiguration", Status: http.StatusNotFound, Message: "The specified object does not have a ObjectLock configuration"}
	errNoSuchLifecycle            = &Error{Code: "NoSuchLifecycleConfiguration", Status: http.StatusNotFound, Message: "The lifecycle configuration does not exist"}
	errNoSuchOwnership            = &Error{Code: "OwnershipControlsNotFoundError", Status: http.StatusNotFound, Message: "The bucket ownership controls were not found"}
	errNoSuchPublicBlock          = &Error{Code: "NoSuchPublicAccessBlockConfiguration", Status: http.StatusNotFound, Message: "The public access block configuration was not found"}
	errNoSuchTagSet               = &Error{Code: "NoSuchTagSet", Status: http.StatusNotFound, Message: "The TagSet does not exist"}
	errNoSuchReplication          = &Error{Code: "ReplicationConfigurationNotFoundError", Status: http.StatusNotFound, Message: "The replication configuration was not found"}
	errNoSuchUpload               = &Error{Code: "NoSuchUpload", Status: http.StatusNotFound, Message: "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed."}
	errNoSuchVersion              = &Error{Code: "NoSuchVersion", Status: http.StatusNotFound, Message: "The specified version does not exist."}
	errNoSuchWebsite              = &Error{Code: "NoSuchWebsiteConfiguration", Status: http.StatusNotFound, Message: "The specified bucket does not have a website configuration"}
	errNotImplemented             = &Error{Code: "NotImplemented", Status: http.StatusNotImplemented, Message: "A header or query you provided implies functionality that is not implemented"}
	errNotModified                = &Error{Code: "NotModified", Status: http.StatusNotModified, Message: "Not Modified"}
	errObjectLocked               = &Error{Code: "AccessDenied", Status: http.StatusForbidden, Message: "Access Denied because object protected by object lock."}
	errPreconditionFailed         = &Error{Code: "PreconditionFailed", Status: http.StatusPreconditionFailed, Message: "At least one of the pre-conditions you specified did not hold"}
	errQuotaExceeded              = &Error{Code: "QuotaExceeded", Status: http.StatusForbidden, Message: "The bucket or its owner holds as much as it may. Delete something, or ask the administrator for a larger quota."}
	errRequestTimeout             = &Error{Code: "RequestTimeout", Status: http.StatusBadRequest, Message: "Your socket connection to the server was not read from or written to within the timeout period. Idle connections will be closed."}
	errServiceUnavailable         = &Error{Code: "ServiceUnavailable", Status: http.StatusServiceUnavailable, Message: "Service is unable to handle request."}
	errSlowDown                   = &Error{Code: "SlowDown", Status: http.StatusServiceUnavailable, Message: "Please reduce your request rate."}
	errTooManyBuckets             = &Error{Code: "TooManyBuckets", Status: http.StatusBadRequest, Message: "You have attempted to create more buckets than allowed"}
	errTooManyParts               = &Error{Code: "TooManyParts", Status: http.StatusBadRequest, Message: "You have attempted to add more parts than the maximum of 10000 that are allowed for this object. Copy the object to begin anew."}
)

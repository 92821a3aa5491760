// Package policy reads and evaluates policy documents in the language of AWS IAM
// (IAM User Guide, "Grammar of the IAM JSON policy language" and "Policy evaluation
// logic"). It is pure: it knows no users, no buckets and no requests.
//
// [Parse] makes a [Document] of JSON, or an [*Error] with AWS's words that says what is
// wrong with it. [Document.Evaluate] answers for one document, [Decide] for all that
// apply to a request. [Document.Public] tells whether a bucket policy lets everybody
// in. Documents are immutable and safe for concurrent use.
//
// # What is understood
//
// Everything of versions 2012-10-17 and 2008-10-17: Not- elements, wildcards, policy
// variables with defaults, every condition operator, IfExists, ForAllValues and
// ForAnyValue. Element names are case sensitive, actions, operators and condition keys
// are not. An element that is unknown, or there twice, is an error: a policy that
// means something else than its author read is worse than none.
//
// # Decisions where AWS leaves room
//
// A variable without value and default makes its pattern match nothing; a statement
// with NotResource then grants nothing and denies everything. A condition on a key with
// several values but without ForAnyValue or ForAllValues holds if any of them matches,
// a negated one if none does. NotPrincipal is accepted with Deny only, and an account
// in it is that account's root: its users are spared when they are named. A session policy
// limits what a resource policy grants to the session, also where it names the session.
//
// # Limits
//
// 20 KiB for a bucket policy, 6,144 characters without white space for others, patterns
// of 2,048 bytes, JSON of depth 10. Matching takes at most the product of pattern and
// value, so a request costs at most some ms whatever a policy's author does.
package policy

package policy

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// values is a Context for tests.
type values map[string][]string

func (v values) Values(key string) []string { return v[key] }

func mustParse(t testing.TB, kind Kind, text string) *Document {
	t.Helper()
	d, err := Parse([]byte(text), kind, "b")
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return d
}

// doc makes a document of one statement.
func doc(statement string) string {
	return `{"Version":"2012-10-17","Statement":[{` + statement + `}]}`
}

var (
	alice  = &Principal{Account: "111111111111", ARNs: []string{"arn:aws:iam::111111111111:user/alice"}, Canonical: "c1"}
	root1  = &Principal{Account: "111111111111", ARNs: []string{"arn:aws:iam::111111111111:root"}, Root: true}
	root1c = &Principal{Account: "111111111111", Canonical: "c1", ARNs: []string{"arn:aws:iam::111111111111:root"}, Root: true}
	bob    = &Principal{Account: "222222222222", ARNs: []string{"arn:aws:iam::222222222222:user/bob"}}
	root2  = &Principal{Account: "222222222222", ARNs: []string{"arn:aws:iam::222222222222:root"}, Root: true}
	role   = &Principal{Account: "111111111111", ARNs: []string{"arn:aws:sts::111111111111:assumed-role/r/s", "arn:aws:iam::111111111111:role/r"}}
	anon   = &Principal{}
)

const (
	allowGet = `"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"`
	denyGet  = `"Effect":"Deny","Action":"s3:Get*","Resource":"*"`
)

// TestDecide: IAM's evaluation logic, a row for each path through it. The bucket belongs
// to account 1.
func TestDecide(t *testing.T) {
	to := func(principal, s string) string { return doc(`"Principal":` + principal + `,` + s) }
	for _, c := range []struct {
		name                        string
		who                         *Principal
		identity, session, resource string
		granted                     Effect
		want                        bool
	}{
		{name: "nothing", who: alice},
		{name: "own policy", who: alice, identity: doc(allowGet), want: true},
		{name: "root needs none", who: root1, want: true},
		{name: "root is bound by a deny", who: root1, resource: to(`"*"`, denyGet)},
		{name: "root of another account", who: root2},
		{name: "root of another account, named", who: root2, resource: to(`{"AWS":"222222222222"}`, allowGet), want: true},
		{name: "explicit deny of its own", who: alice, identity: `{"Version":"2012-10-17","Statement":[{` + allowGet + `},{` + denyGet + `}]}`},
		{name: "deny beats the bucket's allow", who: alice, identity: doc(denyGet), resource: to(`"*"`, allowGet)},
		{name: "bucket's deny beats own allow", who: alice, identity: doc(allowGet), resource: to(`{"AWS":"111111111111"}`, denyGet)},
		{name: "bucket names the user", who: alice, resource: to(`{"AWS":"arn:aws:iam::111111111111:user/alice"}`, allowGet), want: true},
		{name: "bucket names the account: delegates", who: alice, resource: to(`{"AWS":"arn:aws:iam::111111111111:root"}`, allowGet)},
		{name: "bucket names the account by canonical id", who: alice, resource: to(`{"CanonicalUser":"c1"}`, allowGet)},
		{name: "bucket names everybody", who: alice, resource: to(`"*"`, allowGet), want: true},
		{name: "cross account, own side only", who: bob, identity: doc(allowGet)},
		{name: "cross account, bucket's side only", who: bob, resource: to(`{"AWS":"arn:aws:iam::222222222222:user/bob"}`, allowGet)},
		{name: "cross account, everybody, but not its own", who: bob, resource: to(`{"AWS":"*"}`, allowGet)},
		{name: "cross account, both", who: bob, identity: doc(allowGet), resource: to(`{"AWS":"arn:aws:iam::222222222222:root"}`, allowGet), want: true},
		{name: "cross account, both, user named", who: bob, identity: doc(allowGet), resource: to(`{"AWS":"arn:aws:iam::222222222222:user/bob"}`, allowGet), want: true},
		{name: "cross account, denied there", who: bob, identity: doc(denyGet), resource: to(`{"AWS":"222222222222"}`, allowGet)},
		{name: "anonymous", who: anon},
		{name: "anonymous, public", who: anon, resource: to(`"*"`, allowGet), want: true},
		{name: "anonymous, to an account", who: anon, resource: to(`{"AWS":"111111111111"}`, allowGet)},
		{name: "anonymous, granted by an ACL", who: anon, granted: Allow, want: true},
		{name: "ACL does not beat a deny", who: anon, granted: Allow, resource: to(`"*"`, denyGet)},
		{name: "an ACL grants to the account: delegates", who: alice, granted: AllowAccount},
		{name: "an ACL grants to the account, and its own policy allows", who: bob, identity: doc(allowGet), granted: AllowAccount, want: true},
		{name: "role by its own name", who: role, resource: to(`{"AWS":"arn:aws:iam::111111111111:role/r"}`, allowGet), want: true},
		{name: "role by its session", who: role, resource: to(`{"AWS":"arn:aws:sts::111111111111:assumed-role/r/s"}`, allowGet), want: true},
		{name: "session policy allows", who: role, identity: doc(allowGet), session: doc(allowGet), want: true},
		{name: "session policy is silent", who: role, identity: doc(allowGet), session: doc(`"Effect":"Allow","Action":"s3:PutObject","Resource":"*"`)},
		{name: "session policy alone", who: role, session: doc(allowGet)},
		{name: "NotPrincipal spares the named", who: alice, identity: doc(allowGet), resource: doc(`"NotPrincipal":{"AWS":"arn:aws:iam::111111111111:user/alice"},` + denyGet), want: true},
		{name: "NotPrincipal hits others", who: role, identity: doc(allowGet), resource: doc(`"NotPrincipal":{"AWS":"arn:aws:iam::111111111111:user/alice"},` + denyGet)},
		{name: "NotPrincipal of an account hits its users", who: alice, identity: doc(allowGet), resource: doc(`"NotPrincipal":{"AWS":"111111111111"},` + denyGet)},
		{name: "NotPrincipal of an account and a user hits the other users", who: role, identity: doc(allowGet), resource: doc(`"NotPrincipal":{"AWS":["arn:aws:iam::111111111111:root","arn:aws:iam::111111111111:user/alice"]},` + denyGet)},
		{name: "NotPrincipal of an account and a user spares the user", who: alice, identity: doc(allowGet), resource: doc(`"NotPrincipal":{"AWS":["arn:aws:iam::111111111111:root","arn:aws:iam::111111111111:user/alice"]},` + denyGet), want: true},
		{name: "NotPrincipal of an account spares its root", who: root1, resource: doc(`"NotPrincipal":{"AWS":"111111111111"},` + denyGet), want: true},
		{name: "NotPrincipal of an account by canonical id spares its root", who: root1c, resource: doc(`"NotPrincipal":{"CanonicalUser":"c1"},` + denyGet), want: true},
		{name: "NotAction", who: alice, identity: doc(`"Effect":"Allow","NotAction":"s3:Delete*","Resource":"*"`), want: true},
		{name: "NotAction excludes", who: alice, identity: doc(`"Effect":"Allow","NotAction":"s3:get*","Resource":"*"`)},
		{name: "NotResource", who: alice, identity: doc(`"Effect":"Allow","Action":"*","NotResource":"arn:aws:s3:::c/*"`), want: true},
		{name: "NotResource excludes", who: alice, identity: doc(`"Effect":"Allow","Action":"*","NotResource":["arn:aws:s3:::c/*","arn:aws:s3:::b/*"]`)},
		{name: "variable", who: alice, identity: doc(`"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::b/${aws:username}/*"`), want: true},
		{name: "variable without a value", who: alice, identity: doc(`"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::b/${aws:absent}*"`)},
		{name: "variable with a default", who: alice, identity: doc(`"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::b/${aws:absent, 'alice'}/*"`), want: true},
		{name: "unknown in NotResource grants nothing", who: alice, identity: doc(`"Effect":"Allow","Action":"s3:*","NotResource":"arn:aws:s3:::b/${aws:absent}*"`)},
		{name: "a value is no wildcard", who: alice, identity: doc(`"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::b/${aws:star}"`)},
		{name: "old version has no variables", who: alice, identity: `{"Version":"2008-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::b/${aws:username}/*"}}`},
	} {
		p := &Policies{Owner: "111111111111", Granted: c.granted}
		if c.identity != "" {
			p.Identity = []*Document{mustParse(t, Identity, c.identity)}
		}
		if c.session != "" {
			p.Session = mustParse(t, Identity, c.session)
		}
		if c.resource != "" {
			p.Resource = mustParse(t, Bucket, c.resource)
		}
		r := &Request{Principal: c.who, Action: "s3:GetObject", Resource: "arn:aws:s3:::b/alice/k",
			Context: values{"aws:username": {"alice"}, "aws:star": {"*"}}}
		if got := Decide(r, p); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// TestConditions: each operator with what it must accept and refuse.
func TestConditions(t *testing.T) {
	ctx := values{"aws:s": {"Abc"}, "aws:n": {"42"}, "aws:d": {"2026-11-03T04:05:06Z"}, "aws:b": {"true"}, "aws:bin": {"AQI="},
		"aws:ip": {"192.0.2.7"}, "aws:ip6": {"2001:db8::1"}, "aws:arn": {"arn:aws:iam::111111111111:user/x/y"}, "aws:m": {"a", "b"},
		"aws:name": {"Abc"}, "aws:mapped": {"::ffff:192.0.2.7"}, "aws:word": {"word"}, "aws:zone": {"fe80::1%eth0"}}
	for _, c := range []struct {
		condition string
		want      bool
	}{
		{`"StringEquals":{"aws:s":"Abc"}`, true}, {`"StringEquals":{"AWS:S":["x","Abc"]}`, true}, {`"StringEquals":{"aws:s":"abc"}`, false},
		{`"StringEquals":{"aws:s":"A*"}`, false}, {`"StringEquals":{"aws:s":"${aws:name}"}`, true}, {`"StringEquals":{"aws:absent":"x"}`, false},
		{`"StringNotEquals":{"aws:s":"abc"}`, true}, {`"StringNotEquals":{"aws:s":["x","Abc"]}`, false}, {`"StringNotEquals":{"aws:absent":"x"}`, true},
		{`"StringEqualsIgnoreCase":{"aws:s":"aBC"}`, true}, {`"StringNotEqualsIgnoreCase":{"aws:s":"aBC"}`, false},
		{`"StringLike":{"aws:s":"A?c"}`, true}, {`"StringLike":{"aws:s":"a*"}`, false}, {`"StringLike":{"aws:s":"*"}`, true}, {`"StringNotLike":{"aws:s":"A*"}`, false},
		{`"StringEqualsIfExists":{"aws:absent":"x"}`, true}, {`"StringEqualsIfExists":{"aws:s":"x"}`, false},
		{`"NumericEquals":{"aws:n":42}`, true}, {`"NumericEquals":{"aws:n":"42.0"}`, true}, {`"NumericNotEquals":{"aws:n":"42"}`, false},
		{`"NumericLessThan":{"aws:n":"42"}`, false}, {`"NumericLessThanEquals":{"aws:n":"42"}`, true}, {`"NumericGreaterThan":{"aws:n":"9"}`, true},
		{`"NumericGreaterThanEquals":{"aws:n":"43"}`, false}, {`"NumericEquals":{"aws:word":"1"}`, false}, {`"NumericNotEquals":{"aws:word":"1"}`, true},
		{`"DateLessThan":{"aws:d":"2026-11-04"}`, true}, {`"DateGreaterThan":{"aws:d":"2026-11-03T04:05:06Z"}`, false}, {`"DateEquals":{"aws:d":"2026-11-03T04:05:06Z"}`, true},
		{`"DateNotEquals":{"aws:d":"2026-11-03T04:05:06Z"}`, false}, {`"DateGreaterThanEquals":{"aws:d":"1"}`, true}, {`"DateLessThanEquals":{"aws:d":"2026"}`, false},
		{`"Bool":{"aws:b":true}`, true}, {`"Bool":{"aws:b":"False"}`, false}, {`"Bool":{"aws:absent":"false"}`, false}, {`"BoolIfExists":{"aws:absent":"false"}`, true},
		{`"BinaryEquals":{"aws:bin":"AQI="}`, true}, {`"BinaryEquals":{"aws:bin":"AQM="}`, false},
		{`"IpAddress":{"aws:ip":"192.0.2.0/24"}`, true}, {`"IpAddress":{"aws:ip":["10.0.0.0/8","192.0.2.8"]}`, false}, {`"IpAddress":{"aws:mapped":"192.0.2.7"}`, true},
		{`"IpAddress":{"aws:zone":"fe80::/10"}`, true}, {`"NotIpAddress":{"aws:zone":"fe80::1"}`, false},
		{`"IpAddress":{"aws:ip":"::ffff:192.0.0.0/104"}`, true}, {`"IpAddress":{"aws:ip":"::ffff:10.0.0.0/104"}`, false}, {`"IpAddress":{"aws:mapped":"::ffff:192.0.2.0/120"}`, true},
		{`"NotIpAddress":{"aws:ip":"192.0.2.0/24"}`, false}, {`"IpAddress":{"aws:ip6":"2001:db8::/32"}`, true}, {`"IpAddress":{"aws:ip6":"0.0.0.0/0"}`, false},
		{`"ArnEquals":{"aws:arn":"arn:aws:iam::111111111111:user/x/y"}`, true}, {`"ArnLike":{"aws:arn":"arn:aws:iam::*:user/*"}`, true},
		{`"ArnLike":{"aws:arn":"arn:*:user/x/y:::"}`, false}, {`"ArnNotLike":{"aws:arn":"arn:aws:iam::1111*:user/*"}`, false}, {`"ArnNotEquals":{"aws:arn":"arn:aws:iam::111111111111:user/z"}`, true},
		{`"ArnLike":{"aws:s":"*"}`, false},
		{`"Null":{"aws:absent":"true"}`, true}, {`"Null":{"aws:s":true}`, false}, {`"Null":{"aws:s":"false"}`, true}, {`"Null":{"aws:absent":"False"}`, false},
		{`"ForAnyValue:StringEquals":{"aws:m":["b","c"]}`, true}, {`"ForAnyValue:StringEquals":{"aws:m":"c"}`, false}, {`"ForAnyValue:StringEquals":{"aws:absent":"c"}`, false},
		{`"ForAllValues:StringEquals":{"aws:m":["a","b","c"]}`, true}, {`"ForAllValues:StringEquals":{"aws:m":"a"}`, false}, {`"ForAllValues:StringEquals":{"aws:absent":"c"}`, true},
		{`"ForAnyValue:StringNotEquals":{"aws:m":"a"}`, true}, {`"ForAnyValue:StringNotEquals":{"aws:m":["a","b"]}`, false},
		{`"ForAllValues:StringNotEquals":{"aws:m":"c"}`, true}, {`"ForAllValues:StringNotEquals":{"aws:m":"a"}`, false},
		{`"StringNotEquals":{"aws:m":"a"}`, false}, {`"StringEquals":{"aws:m":"b"}`, true},
		{`"ForAnyValue:StringLikeIfExists":{"aws:absent":"c"}`, true},
		{`"StringEquals":{"aws:s":"Abc"},"Bool":{"aws:b":"false"}`, false}, {`"StringEquals":{"aws:s":"Abc","aws:n":"42"}`, true}, {`"StringEquals":{"aws:s":"Abc","aws:n":"43"}`, false},
	} {
		d := mustParse(t, Identity, doc(allowGet+`,"Condition":{`+c.condition+`}`))
		r := &Request{Principal: alice, Action: "s3:GetObject", Resource: "arn:aws:s3:::b/k", Context: ctx}
		if got := d.Evaluate(r) == Allow; got != c.want {
			t.Errorf("%s: %v, want %v", c.condition, got, c.want)
		}
	}
}

// TestMalformed: what is refused, and that the words say why.
func TestMalformed(t *testing.T) {
	const p = `"Principal":"*",`
	for text, want := range map[string]string{
		``: "first byte", ` {}`: "first byte", `[]`: "first byte", `{`: "valid JSON", `{}`: "Statement", doc(p+allowGet) + "x": "valid JSON",
		doc(allowGet):     "Principal",
		`{"Version":"1"}`: "version string",
		`{"Version":"2012-10-17","Statement":[]}`:                                          "Statement",
		doc(p + `"Effect":"allow","Action":"s3:*","Resource":"arn:aws:s3:::b"`):            "Invalid effect",
		doc(p + `"Action":"s3:*","Resource":"arn:aws:s3:::b"`):                             "Effect",
		doc(p + `"Effect":"Allow","Resource":"arn:aws:s3:::b"`):                            "Action",
		doc(p + `"Effect":"Allow","Action":"s3:*"`):                                        "Resource",
		doc(p + allowGet + `,"Effect":"Deny"`):                                             "duplicate",
		doc(p + allowGet + `,"NotAction":"s3:*"`):                                          "both Action and NotAction",
		doc(p + allowGet + `,"condition":{}`):                                              "unknown element",
		doc(`"NotPrincipal":"*",` + allowGet):                                              "NotPrincipal",
		doc(`"Principal":{"AWS":"12345"},` + allowGet):                                     "Invalid principal",
		doc(`"Principal":{"AWS":"arn:aws:iam::111111111111:user/*"},` + allowGet):          "Invalid principal",
		doc(`"Principal":{"Nobody":"x"},` + allowGet):                                      "Invalid principal",
		doc(`"Principal":"x",` + allowGet):                                                 "Invalid principal",
		doc(p + `"Effect":"Allow","Action":"s3:GetObjct","Resource":"arn:aws:s3:::b/*"`):   "invalid action",
		doc(p + `"Effect":"Allow","Action":"iam:*","Resource":"arn:aws:s3:::b/*"`):         "invalid action",
		doc(p + `"Effect":"Allow","Action":"GetObject","Resource":"arn:aws:s3:::b/*"`):     "vendor",
		doc(p + `"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::other/*"`):      "invalid resource",
		doc(p + `"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::bb/*"`):         "invalid resource",
		doc(p + `"Effect":"Allow","Action":"s3:*","Resource":"b"`):                         "ARN format",
		doc(p + allowGet + `,"Condition":{"StringIs":{"aws:s":"x"}}`):                      "Invalid Condition type",
		doc(p + allowGet + `,"Condition":{"NullIfExists":{"aws:s":"true"}}`):               "Invalid Condition type",
		doc(p + allowGet + `,"Condition":{"StringEquals":{"nocolon":"x"}}`):                "condition key",
		doc(p + allowGet + `,"Condition":{"StringEquals":{"aws:s":"x","AWS:s":"y"}}`):      "duplicate condition key",
		doc(p + allowGet + `,"Condition":{"StringEquals":{"aws:s":{}}}`):                   "condition value",
		doc(p + allowGet + `,"Condition":{"NumericEquals":{"aws:s":"x"}}`):                 "condition value",
		doc(p + allowGet + `,"Condition":{"IpAddress":{"aws:s":"300.1.1.1"}}`):             "invalid IP",
		doc(p + allowGet + `,"Condition":{"ArnLike":{"aws:s":"arn:aws:iam:*"}}`):           "invalid ARN",
		doc(p + `"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::b/${aws:user"`): "unclosed",
		doc(p + allowGet + `,"Sid":"` + strings.Repeat("x", MaxBucketPolicy) + `"`):        "larger",
	} {
		_, err := Parse([]byte(text), Bucket, "b")
		e, ok := errors.AsType[*Error](err)
		if !ok || !strings.Contains(e.Message, want) {
			t.Errorf("%.200s: %v, want %q", text, err, want)
		}
	}
	for text, kind := range map[string]Kind{
		doc(p + allowGet): Identity,
		doc(p + `"Effect":"Allow","Action":"s3:*"`):                          Trust,
		doc(p + `"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"`): Trust,
		doc(`"Effect":"Allow","Action":"sts:AssumeRole"`):                    Trust,
		doc(allowGet + `,"Sid":"` + strings.Repeat("x", MaxPolicy) + `"`):    Identity,
	} {
		if _, err := Parse([]byte(text), kind, ""); err == nil {
			t.Errorf("kind %d: %.200s was accepted", kind, text)
		}
	}
	for _, resource := range []string{"arn:aws:s3:::b", "arn:aws:s3:::b/*", "arn:aws:s3:::*", "*", "arn:aws:s3:::b*", "arn:aws:s3:::b/${aws:username}/*"} {
		mustParse(t, Bucket, doc(p+`"Effect":"Allow","Action":["s3:*","S3:getobject"],"Resource":"`+resource+`"`))
	}
}

func TestPublic(t *testing.T) {
	for s, want := range map[string]bool{
		`"Principal":"*",` + allowGet: true, `"Principal":{"AWS":["111111111111","*"]},` + allowGet: true, `"Principal":{"AWS":"111111111111"},` + allowGet: false,
		`"Principal":"*",` + denyGet: false,
		`"Principal":"*",` + allowGet + `,"Condition":{"IpAddress":{"aws:SourceIp":"192.0.2.0/24"}}`:                              false,
		`"Principal":"*",` + allowGet + `,"Condition":{"IpAddress":{"aws:SourceIp":["192.0.2.0/24","0.0.0.0/0"]}}`:                true,
		`"Principal":"*",` + allowGet + `,"Condition":{"NotIpAddress":{"aws:SourceIp":"192.0.2.0/24"}}`:                           true,
		`"Principal":"*",` + allowGet + `,"Condition":{"StringEquals":{"aws:PrincipalAccount":"111111111111"}}`:                   false,
		`"Principal":"*",` + allowGet + `,"Condition":{"StringLike":{"aws:PrincipalAccount":"1*"}}`:                               true,
		`"Principal":"*",` + allowGet + `,"Condition":{"StringEqualsIfExists":{"aws:SourceVpc":"vpc-1"}}`:                         true,
		`"Principal":"*",` + allowGet + `,"Condition":{"StringEquals":{"aws:UserAgent":"x"}}`:                                     true,
		`"Principal":"*",` + allowGet + `,"Condition":{"StringEquals":{"s3:x-amz-server-side-encryption-aws-kms-key-id":"main"}}`: true,
		`"Principal":"*",` + allowGet + `,"Condition":{"ArnLike":{"aws:SourceArn":"arn:aws:sns:*:111111111111:x*"}}`:              false,
		`"Principal":"*",` + allowGet + `,"Condition":{"ArnLike":{"aws:SourceArn":"arn:aws:sns:*:*:x"}}`:                          true,
	} {
		if got := mustParse(t, Bucket, doc(s)).Public(); got != want {
			t.Errorf("%s: %v, want %v", s, got, want)
		}
	}
}

func TestGlob(t *testing.T) {
	for _, c := range []struct {
		pattern, s string
		want       bool
	}{
		{"", "", true}, {"*", "", true}, {"?", "", false}, {"?", "ä", true}, {"a*b*c", "aXbYbZc", true}, {"a*b*c", "aXbYbZ", false}, {"**", "x", true},
		{"a?c", "ac", false}, {"*a", "ba", true}, {"*ab", "aab", true}, {"*?", "", false}, {"${*}", "*", true}, {"${*}", "x", false}, {"${$}{x}", "${x}", true},
		{strings.Repeat("*a", 200), strings.Repeat("a", 199), false},
	} {
		p, err := compile(c.pattern, true, true, false)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := p.matches(c.s, values{}); got != c.want {
			t.Errorf("%q of %q: %v", c.s, c.pattern, got)
		}
	}
}

// FuzzParse: no panic; what was accepted is evaluated without one, and a document that
// denies everything is never overruled.
func FuzzParse(f *testing.F) {
	f.Add([]byte(doc(allowGet)), uint8(0), "arn:aws:s3:::b/k")
	f.Add([]byte(doc(`"Principal":{"AWS":"111111111111"},`+allowGet+`,"Condition":{"ForAnyValue:StringLikeIfExists":{"aws:s":["${aws:s, 'x'}*"]}}`)), uint8(1), "x")
	f.Add([]byte(doc(`"Principal":"*","Effect":"Allow","Action":"sts:AssumeRole"`)), uint8(2), "x")
	deny, err := Parse([]byte(doc(`"Principal":"*","Effect":"Deny","Action":"*","Resource":"*"`)), Bucket, "b")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte, kind uint8, s string) {
		d, err := Parse(data, Kind(kind%3), "b")
		if err != nil {
			if _, ok := errors.AsType[*Error](err); !ok {
				t.Fatal(err)
			}
			return
		}
		r := &Request{Principal: alice, Action: "s3:GetObject", Resource: s, Context: values{"aws:s": {s}, "aws:m": {s, ""}}}
		d.Evaluate(r)
		d.Public()
		if Decide(r, &Policies{Identity: []*Document{d}, Resource: deny, Owner: alice.Account, Granted: Allow}) {
			t.Fatal("allowed in spite of a deny")
		}
	})
}

func BenchmarkEvaluate(b *testing.B) {
	for _, n := range []int{1, 20} {
		var all []string
		for i := range n {
			all = append(all, fmt.Sprintf(`{"Effect":"Allow","Action":["s3:GetObject","s3:PutObject"],"Resource":"arn:aws:s3:::b/p%d/*"}`, n-1-i))
		}
		d := mustParse(b, Identity, `{"Version":"2012-10-17","Statement":[`+strings.Join(all, ",")+`]}`)
		r := &Request{Principal: alice, Action: "s3:GetObject", Resource: "arn:aws:s3:::b/p0/some/longer/key-000001", Context: values{}}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if d.Evaluate(r) != Allow {
					b.Fatal("denied")
				}
			}
		})
	}
}

package s3api

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/weftstore/weft/s3api/sigv4"
	"github.com/weftstore/weft/store"
)

// postObject is PostObject: an HTML form puts an object. Who signed its policy puts it,
// and without a policy nobody does.
func (c *call) postObject() error {
	if c.r.ContentLength < 0 {
		return errMissingContentLength
	}
	if err := c.openBody(); err != nil {
		return err
	}
	f, err := readForm(c.r.Header.Get("Content-Type"), c.body)
	if err != nil {
		return err
	}
	if err := f.expand(); err != nil {
		return err
	}
	if c.key = f.fields["key"]; c.key == "" {
		return errInvalidArgument.saying("Bucket POST must contain a field named 'key'.  If it is specified, please check the order of the fields.").with("ArgumentName", "key").with("ArgumentValue", "")
	}
	if err := checkKey(c.key); err != nil {
		return err
	}
	f.fields["bucket"] = c.bucket
	policy, err := c.formPolicy(f.fields)
	if err != nil {
		return err
	}
	c.r.Header = formHeader(c.r.Header, f.fields)
	if err := c.checkHeaders(); err != nil {
		return err
	}
	c.document.known = true
	if text := f.fields["tagging"]; text != "" {
		if c.document.tags, err = documentTags([]byte(text), maxObjectTags); err != nil {
			return err
		}
	}
	if err := c.allowForm(f.fields["tagging"] != ""); err != nil {
		return err
	}
	return c.storeForm(f, policy)
}

// formPolicy authenticates the form and checks its fields. Nil for a form of nobody's.
func (c *call) formPolicy(fields map[string]string) (*postPolicy, error) {
	res, err := c.h.cfg.Auth.VerifyPost(c.ctx, &sigv4.Post{
		Policy: fields["policy"], Algorithm: fields["x-amz-algorithm"], Credential: fields["x-amz-credential"], Date: fields["x-amz-date"],
		Signature: fields["x-amz-signature"], Token: fields["x-amz-security-token"], AccessKey: fields["awsaccesskeyid"], Signature2: fields["signature"],
	})
	if errors.Is(err, sigv4.ErrAnonymous) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	c.auth = res
	c.withOrigin()
	c.turn.ticket.Leave() // it was nobody's up to here
	if err := c.enter(); err != nil {
		return nil, err
	}
	policy, err := decodePostPolicy(fields["policy"])
	if err != nil {
		return nil, err
	}
	return policy, policy.check(fields, c.h.cfg.Now())
}

// formHeader makes the headers of a PUT of the fields; of the request's own headers stays
// what policies may ask for.
func formHeader(of http.Header, fields map[string]string) http.Header {
	h := http.Header{}
	for _, name := range []string{"User-Agent", "Referer", "Origin"} {
		if v := of[name]; len(v) > 0 {
			h[name] = v
		}
	}
	set := func(name, value string) {
		if value != "" && !strings.ContainsAny(value, "\r\n\x00") {
			h[name] = []string{value}
		}
	}
	for _, name := range &storedHeaders {
		set(name, fields[strings.ToLower(name)])
	}
	set("X-Amz-Acl", fields["acl"])
	set("Content-Md5", fields["content-md5"])
	for name, value := range fields {
		if strings.HasPrefix(name, "x-amz-") && !signatureFields[name] && name != "x-amz-trailer" && name != "x-amz-decoded-content-length" && name != "x-amz-copy-source" {
			set(http.CanonicalHeaderKey(name), value)
		}
	}
	return h
}

// allowForm asks the policies for what a PutObject of the same would need.
func (c *call) allowForm(tags bool) error {
	need1 := func(action string) need { return need{action: "s3:" + action, bucket: c.bucket, key: c.key} }
	list := []need{need1("PutObject")}
	c.writeNeeds(func(action string) { list = append(list, need1(action)) })
	if tags {
		list = append(list, need1("PutObjectTagging"))
	}
	for i := range list {
		ok, err := c.allowed(c.who(), &list[i])
		if err != nil {
			return err
		}
		if !ok {
			return errAccessDenied
		}
	}
	return nil
}

func (c *call) storeForm(f *form, policy *postPolicy) error {
	p, err := readPromise(c.r.Header)
	if err != nil {
		return err
	}
	file, size, err := f.file.open(c.r.ContentLength)
	if err != nil {
		return err
	}
	if size > sigv4.MaxBodyLength {
		return errEntityTooLarge.with("ProposedSize", itoa64(size)).with("MaxSizeAllowed", itoa64(sigv4.MaxBodyLength))
	}
	if policy != nil {
		if err := policy.checkSize(size); err != nil {
			return err
		}
	} else if c.who() != anonymous {
		file = &signedForm{file, f.file.br}
	}
	res, err := c.storeObject(file, size, &p, c.document.tags)
	if err != nil {
		return err
	}
	return c.sendPosted(f.fields, res)
}

// sendPosted answers as the form wishes.
func (c *call) sendPosted(fields map[string]string, res *store.PutResult) error {
	etag := `"` + res.ETag + `"`
	location := strings.TrimSuffix(c.location(), "/") + "/" + (&url.URL{Path: c.key}).EscapedPath()
	c.set("Location", location)
	redirect := fields["success_action_redirect"]
	if redirect == "" {
		redirect = fields["redirect"]
	}
	if u, err := url.Parse(redirect); redirect != "" && err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" {
		more := "bucket=" + url.QueryEscape(c.bucket) + "&key=" + url.QueryEscape(c.key) + "&etag=" + url.QueryEscape(etag)
		if u.RawQuery != "" {
			more = u.RawQuery + "&" + more
		}
		u.RawQuery = more
		c.set("Location", u.String())
		return c.done(http.StatusSeeOther)
	}
	switch fields["success_action_status"] {
	case "200":
		return c.done(http.StatusOK)
	case "201":
		d := &doc{} // this one has no name space
		d.raw(xmlHeader)
		d.open("PostResponse")
		d.str("Location", location)
		d.str("Bucket", c.bucket)
		d.str("Key", c.key)
		d.str("ETag", etag)
		d.close("PostResponse")
		c.send(http.StatusCreated, d.b)
		return nil
	}
	return c.done(http.StatusNoContent)
}

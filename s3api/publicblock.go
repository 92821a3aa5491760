package s3api

import "strings"

// Names of a bucket's configurations: those of S3's sub-resources.
const (
	configPolicy      = "policy"
	configPublicBlock = "publicAccessBlock"
	configOwnership   = "ownershipControls"
)

// publicBlock is a bucket's PublicAccessBlockConfiguration. A bucket without one blocks nothing.
type publicBlock struct {
	BlockPublicAcls, IgnorePublicAcls, BlockPublicPolicy, RestrictPublicBuckets bool
}

func (b *publicBlock) fields() []struct {
	name string
	on   *bool
} {
	return []struct {
		name string
		on   *bool
	}{
		{"BlockPublicAcls", &b.BlockPublicAcls}, {"IgnorePublicAcls", &b.IgnorePublicAcls},
		{"BlockPublicPolicy", &b.BlockPublicPolicy}, {"RestrictPublicBuckets", &b.RestrictPublicBuckets},
	}
}

func decodePublicBlock(data []byte) (b publicBlock, err error) {
	root, err := parseXML(data, "PublicAccessBlockConfiguration", 16)
	if err != nil {
		return b, err
	}
	for _, f := range b.fields() {
		switch v := root.value(f.name); strings.ToLower(v) {
		case "true":
			*f.on = true
		case "false", "":
		default:
			return b, errMalformedXML
		}
	}
	return b, nil
}

func (b *publicBlock) document() *doc {
	d := newDoc("PublicAccessBlockConfiguration", 512)
	for _, f := range b.fields() {
		d.bool(f.name, *f.on)
	}
	d.close("PublicAccessBlockConfiguration")
	return d
}

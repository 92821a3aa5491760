package s3api

// listObjectVersions is ListObjectVersions: versions and delete markers, newest
// first within a key.
func (c *call) listObjectVersions() error {
	l, err := c.readListing("max-keys")
	if err != nil {
		return err
	}
	l.After, l.AfterVersion = c.query.get("key-marker"), c.query.get("version-id-marker")
	if err := checkMarker("key-marker", l.After); err != nil {
		return err
	}
	if l.AfterVersion != "" && l.After == "" {
		return badArgument("version-id-marker", l.AfterVersion, "A version-id marker cannot be specified without a key marker.")
	}
	if checkVersionID(l.AfterVersion) != nil {
		return badArgument("version-id-marker", l.AfterVersion, "Invalid version id specified")
	}
	page, err := c.h.cfg.Listings.ListVersions(c.ctx, c.bucket, l.ListQuery)
	if err != nil {
		return err
	}
	d := newDoc("ListVersionsResult", listSize(page)+100*len(page.Entries))
	d.str("Name", c.bucket)
	d.key("Prefix", l.Prefix, l.url)
	d.key("KeyMarker", l.After, l.url)
	d.str("VersionIdMarker", l.AfterVersion)
	if page.Truncated {
		d.key("NextKeyMarker", page.Next, l.url)
		d.opt("NextVersionIdMarker", page.NextVersion)
	}
	l.head(d, page)
	for i := range page.Entries {
		e := &page.Entries[i]
		if e.CommonPrefix != "" {
			continue
		}
		element := "Version"
		if e.DeleteMarker {
			element = "DeleteMarker"
		}
		d.open(element)
		d.key("Key", e.Key, l.url)
		d.str("VersionId", e.VersionID())
		d.bool("IsLatest", e.Latest)
		if e.DeleteMarker {
			d.time("LastModified", e.Modified)
		} else {
			d.entry(e)
			d.str("StorageClass", "STANDARD")
		}
		d.owner("Owner", c.ownerID())
		d.close(element)
	}
	d.prefixes(page, l.url)
	d.close("ListVersionsResult")
	return c.sendDoc(d)
}

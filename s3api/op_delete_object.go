package s3api

import "net/http"

// deleteObject is DeleteObject. A key that is not there is deleted successfully.
func (c *call) deleteObject() error {
	versionID, given := c.query.lookup("versionId")
	if given && versionID == "" {
		return badArgument("versionId", "", "Version id cannot be the empty string")
	}
	if err := checkVersionID(versionID); err != nil {
		return err
	}
	cond, err := deleteCondition(c.r.Header)
	if err != nil {
		return err
	}
	cond.BypassGovernance = c.bypass()
	c.judged.bind(&cond)
	res, err := c.h.cfg.Versions.Delete(c.ctx, c.bucket, c.key, versionID, cond)
	if err != nil {
		return err
	}
	if res.VersionID != "" {
		c.set("X-Amz-Version-Id", res.VersionID)
	}
	if res.DeleteMarker {
		c.set("X-Amz-Delete-Marker", "true")
	}
	return c.done(http.StatusNoContent)
}

package s3api

// headObject is HeadObject: GetObject without the bytes.
func (c *call) headObject() error {
	obj, sel, err := c.prepareRead()
	if err != nil {
		return err
	}
	obj.Close()
	c.set("Content-Length", itoa64(sel.n))
	c.w.WriteHeader(sel.status)
	return nil
}

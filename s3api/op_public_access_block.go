package s3api

import "net/http"

// getPublicAccessBlock is GetPublicAccessBlock.
func (c *call) getPublicAccessBlock() error {
	text, err := c.config(configPublicBlock, errNoSuchPublicBlock)
	if err != nil {
		return err
	}
	b, err := decodePublicBlock([]byte(text))
	if err != nil {
		return err
	}
	return c.sendDoc(b.document())
}

// putPublicAccessBlock is PutPublicAccessBlock.
func (c *call) putPublicAccessBlock() error {
	data, err := c.readDocument(maxDocument, false)
	if err != nil {
		return err
	}
	b, err := decodePublicBlock(data)
	if err != nil {
		return err
	}
	return c.storeConfig(configPublicBlock, string(b.document().b), http.StatusOK)
}

// deletePublicAccessBlock is DeletePublicAccessBlock.
func (c *call) deletePublicAccessBlock() error {
	return c.storeConfig(configPublicBlock, "", http.StatusNoContent)
}

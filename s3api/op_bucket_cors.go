package s3api

import "net/http"

// getBucketCors is GetBucketCors.
func (c *call) getBucketCors() error {
	text, err := c.config(configCORS, errNoSuchCORS)
	if err != nil {
		return err
	}
	c.send(http.StatusOK, []byte(text))
	return nil
}

// putBucketCors is PutBucketCors.
func (c *call) putBucketCors() error {
	data, err := c.readDocument(maxDocument, false)
	if err != nil {
		return err
	}
	rules, err := decodeCORS(data)
	if err != nil {
		return err
	}
	return c.storeConfig(configCORS, string(corsDocument(rules).b), http.StatusOK)
}

// deleteBucketCors is DeleteBucketCors.
func (c *call) deleteBucketCors() error {
	return c.storeConfig(configCORS, "", http.StatusNoContent)
}

// preflight is OptionsBucket and OptionsObject: a browser asks whether a script may send
// a request. Nobody signs that.
func (c *call) preflight() error {
	h := c.r.Header
	if h.Get("Origin") == "" {
		return errBadRequest.saying("Insufficient information. Origin request header needed.")
	}
	if h.Get("Access-Control-Request-Method") == "" {
		return errBadRequest.saying("Invalid Access-Control-Request-Method: null")
	}
	if len(c.state.cors) == 0 {
		return errAccessForbidden.saying("CORSResponse: CORS is not enabled for this bucket.")
	}
	if !c.cors(c.state.cors, true) {
		return errAccessForbidden
	}
	return c.done(http.StatusOK)
}

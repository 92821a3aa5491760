package gateway_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/notification"
)

// heard is a webhook that remembers how often it was told of each key.
type heard struct {
	*httptest.Server
	mu   sync.Mutex
	keys map[string]int
}

func newHeard(t *testing.T) *heard {
	h := &heard{keys: map[string]int{}}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var told struct {
			Records []struct {
				EventName string
				S3        struct{ Object struct{ Key string } }
			}
		}
		if err := json.NewDecoder(r.Body).Decode(&told); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		for _, e := range told.Records {
			if strings.Contains(e.EventName, "ObjectCreated") {
				h.keys[e.S3.Object.Key]++
			}
		}
	}))
	t.Cleanup(h.Close)
	return h
}

// distinct is how many keys it heard of.
func (h *heard) distinct() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.keys)
}

// What any gateway acknowledged is told by the one that leads, and by another when that one
// has ended; nothing else is told.
func TestGatewaysShareEvents(t *testing.T) {
	r := sharedRig(t, 2, 1, "replica:2")
	r.all()
	h := newHeard(t)
	r.notify = []string{"hook=" + h.URL}
	gws := []*shared{r.gateway("a"), r.gateway("b")}
	if err := gws[0].cl.MakeBucket(t.Context(), bucket, minio.MakeBucketOptions{}); err != nil {
		t.Fatal(err)
	}
	queue := notification.NewConfig(notification.NewArn("weft", "notify", "", "", "hook"))
	queue.AddEvents(notification.ObjectCreatedAll)
	var cfg notification.Configuration
	cfg.AddQueue(queue)
	if err := gws[0].cl.SetBucketNotification(t.Context(), bucket, cfg); err != nil {
		t.Fatal(err)
	}
	n := 0
	put := func(at ...*shared) {
		t.Helper()
		for range 10 {
			for _, g := range at {
				g.mustPut(fmt.Sprint("k", n), 100)
				n++
			}
		}
	}
	put(gws...)
	eventually(t, "the events of two gateways", func() bool { return h.distinct() == n })
	left, leads := gws[0], gws[1]
	if left.leader() == "a" {
		left, leads = leads, left
	}
	put(leads)
	leads.end()
	put(left)
	eventually(t, "the events after the end of the leader", func() bool { return h.distinct() >= n })
	if got := h.distinct(); got != n {
		t.Errorf("it heard of %d keys, of which %d were put: %v", got, n, h.keys)
	}
}

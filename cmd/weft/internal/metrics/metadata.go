package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/weftstore/weft/metadata/etcdkv"
)

// MetadataCluster is an etcd cluster that has all or some of the metadata.
type MetadataCluster struct {
	Name string
	etcdkv.Stats
}

// metadataFields are those of etcdkv.Stats.
var metadataFields = []field[MetadataCluster]{
	gauge("weft_metadata_up", "Whether the etcd cluster answered the request that was sent last (1) or not (0).",
		func(c *MetadataCluster) float64 { return bool01(!c.Failing) }, "cluster"),
	counter("weft_metadata_requests_total", "Requests to the etcd cluster for metadata.",
		func(c *MetadataCluster) float64 { return float64(c.Requests) }, "cluster"),
	counter("weft_metadata_conflicts_total", "Commits that another transaction forestalled.",
		func(c *MetadataCluster) float64 { return float64(c.Conflicts) }, "cluster"),
	counter("weft_metadata_reruns_total", "Transactions that were run again as a value kept in memory had changed.",
		func(c *MetadataCluster) float64 { return float64(c.Reruns) }, "cluster"),
	counter("weft_metadata_resolved_total", "Commits whose answer was lost and whose outcome was found out.",
		func(c *MetadataCluster) float64 { return float64(c.Resolved) }, "cluster"),
}

// Metadata shows the etcd clusters that the function tells of.
func (s *Set) Metadata(clusters func() []MetadataCluster) {
	s.reg.MustRegister(metadataCollector(clusters))
}

type metadataCollector func() []MetadataCluster

func (c metadataCollector) Describe(ch chan<- *prometheus.Desc) { describe(ch, metadataFields) }

func (c metadataCollector) Collect(ch chan<- prometheus.Metric) {
	list := c()
	for i := range list {
		emit(ch, metadataFields, &list[i], list[i].Name)
	}
}

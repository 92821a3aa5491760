package etcdkv

import (
	"math"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/client/v3"
)

// Limits of a transaction. etcd counts the operations of each level by itself, and
// takes from what a nested one may have what the levels above it have: four times fan,
// three levels and the comparisons of guards, is less than its default of 128.
const (
	flat = 120
	fan  = 31
)

// nest cuts ops into nested transactions until at most limit are left.
func nest(ops []clientv3.Op, limit int) []clientv3.Op {
	for len(ops) > limit {
		next := make([]clientv3.Op, 0, (len(ops)+fan-1)/fan)
		for i := 0; i < len(ops); i += fan {
			next = append(next, clientv3.OpTxn(nil, ops[i:min(i+fan, len(ops))], nil))
		}
		ops = next
	}
	return ops
}

// guards makes nested transactions that abort the whole unless cmps hold. key is any
// that may be read.
func guards(cmps []clientv3.Cmp, key string) []clientv3.Op {
	abort := []clientv3.Op{clientv3.OpGet(key, clientv3.WithRev(math.MaxInt64), clientv3.WithCountOnly())}
	ops := make([]clientv3.Op, 0, (len(cmps)+fan-1)/fan)
	for i := 0; i < len(cmps); i += fan {
		ops = append(ops, clientv3.OpTxn(cmps[i:min(i+fan, len(cmps))], nil, abort))
	}
	return ops
}

// ranges lists the answers to reads in the order in which nest was given them.
func ranges(dst []*pb.RangeResponse, ops []*pb.ResponseOp) []*pb.RangeResponse {
	for _, op := range ops {
		if r := op.GetResponseRange(); r != nil {
			dst = append(dst, r)
		} else if t := op.GetResponseTxn(); t != nil {
			dst = ranges(dst, t.Responses)
		}
	}
	return dst
}

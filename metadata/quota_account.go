package metadata

import (
	"context"
	"slices"
	"strings"
)

// quotaFormat is that of quotas of accounts which have something in other partitions.
const quotaFormat = 2

// accountQuota is the quota of an account as each partition has it.
type accountQuota []QuotaState

// total is what all partitions count together.
func (q accountQuota) total() QuotaState {
	sum := QuotaState{QuotaOf: q[0].QuotaOf, Limit: q[0].Limit}
	for i := range q {
		sum.Used.Bytes += q[i].Used.Bytes
		sum.Used.Objects += q[i].Used.Objects
		sum.Counting = sum.Counting || q[i].Counting
	}
	return sum
}

// accountQuotas reads the quotas of accounts that the first partition has, by id.
func accountQuotas(all []Reader) (list []accountQuota, err error) {
	from := keyAccountQuota("")
	for at, r := range all {
		var bad error
		err := r.Scan(from, prefixEnd(from), func(k, v []byte) bool {
			q, err := decodeQuota(k, v)
			if bad = err; err != nil {
				return false
			}
			q.Account = string(k[len(from):])
			if at == 0 {
				list = append(list, accountQuota{q})
				return true
			}
			i, found := slices.BinarySearchFunc(list, q.Account, func(l accountQuota, account string) int {
				return strings.Compare(l[0].Account, account)
			})
			for found && len(list[i]) < at {
				list[i] = append(list[i], QuotaState{}) // it has none
			}
			if found {
				list[i] = append(list[i], q)
			}
			return true
		})
		if err == nil {
			err = bad
		}
		if err != nil {
			return nil, err
		}
	}
	return list, nil
}

// BalanceQuotas tells each partition what the others count for accounts. Between two calls
// an account can get more than it may by what it puts in all partitions but one. It does
// nothing for a DB with one engine.
func (db *DB) BalanceQuotas(ctx context.Context) error {
	if len(db.more) == 0 {
		return nil
	}
	var list []accountQuota
	err := db.viewAll(ctx, "balance quotas", func(all []Reader, _ *scratch) (err error) {
		list, err = accountQuotas(all)
		return err
	})
	if err != nil {
		return err
	}
	for _, q := range list {
		sum := q.total().Used
		for at := range q {
			other := Quota{sum.Bytes - q[at].Used.Bytes, sum.Objects - q[at].Used.Objects}
			if other == q[at].elsewhere {
				continue
			}
			err := db.upkeepAt(ctx, "balance quotas", at, func(t Txn, _ *scratch) error {
				key := keyAccountQuota(q[0].Account)
				s, found, err := readQuota(t, key)
				if err != nil || !found {
					return err
				}
				s.elsewhere = other
				return t.Put(key, encodeQuota(key, &s))
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

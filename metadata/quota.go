package metadata

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"strings"
)

// configCounted names the configuration of a bucket that says which quotas count it:
// "b" for its own, "a" for that of its owner. Nothing is counted for buckets without.
const configCounted = "quota"

// Quota bounds what a bucket or an account may hold; 0 is no bound.
type Quota struct {
	Bytes   int64 `json:"bytes,omitempty"`   // of user data in all versions and in parts of uploads under way
	Objects int64 `json:"objects,omitempty"` // versions, without delete markers
}

// QuotaOf names a bucket or an account; just one is not "".
type QuotaOf struct {
	Bucket  string `json:"bucket,omitempty"`
	Account string `json:"account,omitempty"`
}

// QuotaState is a quota and what it counts.
type QuotaState struct {
	QuotaOf
	Limit Quota `json:"limit"`
	Used  Quota `json:"used"`
	// Counting: what was there before the quota is being counted, and nothing is refused yet.
	Counting bool `json:"counting,omitempty"`

	elsewhere Quota // used of an account's in the other partitions, as BalanceQuotas saw it last
}

func (s *QuotaState) full(more Quota) bool {
	return !s.Counting && (more.Bytes > 0 && s.Limit.Bytes > 0 && s.Used.Bytes+s.elsewhere.Bytes > s.Limit.Bytes ||
		more.Objects > 0 && s.Limit.Objects > 0 && s.Used.Objects+s.elsewhere.Objects > s.Limit.Objects)
}

func keyBucketQuota(id uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{spaceQuota, 'b'}, id)
}

func keyAccountQuota(account string) []byte { return append([]byte{spaceQuota, 'a'}, account...) }

func encodeQuota(key []byte, s *QuotaState) []byte {
	b := []byte{recordFormat, 0}
	if s.Counting {
		b[1] = 1
	}
	list := []int64{s.Limit.Bytes, s.Limit.Objects, s.Used.Bytes, s.Used.Objects}
	if s.elsewhere != (Quota{}) {
		b[0] = quotaFormat
		list = append(list, s.elsewhere.Bytes, s.elsewhere.Objects)
	}
	for _, n := range list {
		b = binary.LittleEndian.AppendUint64(b, uint64(n))
	}
	return seal(b, 0, key)
}

func decodeQuota(key, value []byte) (s QuotaState, err error) {
	d, format, err := unsealUpTo(quotaFormat, key, value)
	if err != nil {
		return s, err
	}
	flags := d.u8()
	d.bad = d.bad || flags > 1
	s.Counting = flags == 1
	list := []*int64{&s.Limit.Bytes, &s.Limit.Objects, &s.Used.Bytes, &s.Used.Objects}
	if format == quotaFormat {
		list = append(list, &s.elsewhere.Bytes, &s.elsewhere.Objects)
	}
	for _, n := range list {
		*n = int64(d.u64())
	}
	return s, d.end()
}

func readQuota(r Reader, key []byte) (s QuotaState, found bool, err error) {
	raw, err := r.Get(key)
	if err != nil || raw == nil {
		return s, false, err
	}
	if s, err = decodeQuota(key, raw); err != nil {
		return s, false, fmt.Errorf("quota: %w", err)
	}
	return s, true, nil
}

// quotaKeys are the records that count a bucket.
func (b *Bucket) quotaKeys() (keys [][]byte) {
	by := b.Configs[configCounted]
	if strings.Contains(by, "b") {
		keys = append(keys, keyBucketQuota(b.ID))
	}
	if strings.Contains(by, "a") {
		keys = append(keys, keyAccountQuota(b.Owner))
	}
	return keys
}

// charge counts what a bucket gets, or loses. ErrQuota when that is more than it may have.
func charge(t Txn, b *Bucket, more Quota) error { return count(t, b, more, true) }

// chargeImport is charge for what is there already, and is refused by nothing.
func chargeImport(t Txn, b *Bucket, more Quota) error { return count(t, b, more, false) }

func count(t Txn, b *Bucket, more Quota, refuse bool) error {
	if b.Configs[configCounted] == "" || more == (Quota{}) {
		return nil
	}
	for _, key := range b.quotaKeys() {
		s, found, err := readQuota(t, key)
		if err != nil {
			return err
		}
		if !found {
			continue
		}
		s.Used.Bytes += more.Bytes
		s.Used.Objects += more.Objects
		if refuse && s.full(more) {
			return ErrQuota
		}
		if err := t.Put(key, encodeQuota(key, &s)); err != nil {
			return err
		}
	}
	return nil
}

// chargeParts gives back what the parts of an upload are counted with.
func chargeParts(t Txn, s *scratch, b *Bucket, id UploadID) error {
	if b.Configs[configCounted] == "" {
		return nil
	}
	var size int64
	if err := scanParts(t, s, id, 1, func(p *Part) bool { size += p.Size; return true }); err != nil {
		return err
	}
	return charge(t, b, Quota{Bytes: -size})
}

// SetQuota bounds a bucket or an account, which is not the root account; zero removes the
// bound. What is there is counted first, which reads all of it, while clients go on.
// ErrNoSuchBucket.
func (db *DB) SetQuota(ctx context.Context, of QuotaOf, limit Quota) error {
	if of.Bucket == "" { // each partition counts what it has of an account
		for i := range db.partitions() {
			if err := db.setQuotaAt(ctx, i, of, limit); err != nil {
				return err
			}
		}
		return db.BalanceQuotas(ctx)
	}
	b, err := db.Bucket(ctx, of.Bucket)
	if err != nil {
		return err
	}
	return db.setQuotaAt(ctx, b.partition, of, limit)
}

func (db *DB) setQuotaAt(ctx context.Context, partition int, of QuotaOf, limit Quota) error {
	counting := false
	defer db.changes.Add(1)
	err := db.upkeepAt(ctx, "set quota", partition, func(t Txn, s *scratch) (err error) {
		counting, err = db.setQuota(t, s, of, limit)
		return err
	})
	if err != nil || !counting {
		return err
	}
	var before Quota
	err = db.viewAt(ctx, "count for quota", partition, func(r Reader, s *scratch) (err error) {
		before, err = db.countBefore(ctx, r, s, of)
		return err
	})
	if err != nil {
		return err
	}
	return db.upkeepAt(ctx, "set quota", partition, func(t Txn, s *scratch) error {
		key, _, err := db.quotaBuckets(t, s, of)
		if err != nil {
			return err
		}
		q, found, err := readQuota(t, key)
		if err != nil || !found || !q.Counting {
			return err
		}
		q.Used.Bytes += before.Bytes
		q.Used.Objects += before.Objects
		q.Counting = false
		return t.Put(key, encodeQuota(key, &q))
	})
}

// quotaBuckets gives the record of a quota and the buckets that it counts.
func (db *DB) quotaBuckets(r Reader, s *scratch, of QuotaOf) (key []byte, buckets []Bucket, err error) {
	if of.Bucket != "" {
		b, err := db.readBucket(r, s, of.Bucket)
		if err != nil {
			return nil, nil, err
		}
		return keyBucketQuota(b.ID), []Bucket{*b}, nil
	}
	all, err := allBuckets(r)
	for i := range all {
		if all[i].Owner == of.Account {
			buckets = append(buckets, all[i])
		}
	}
	return keyAccountQuota(of.Account), buckets, err
}

// setQuota enters or removes the record and marks the buckets.
func (db *DB) setQuota(t Txn, s *scratch, of QuotaOf, limit Quota) (counting bool, err error) {
	key, buckets, err := db.quotaBuckets(t, s, of)
	if err != nil {
		return false, err
	}
	mark := "b"
	if of.Bucket == "" {
		mark = "a"
	}
	for i := range buckets {
		b := &buckets[i]
		by := strings.ReplaceAll(b.Configs[configCounted], mark, "")
		if limit != (Quota{}) {
			by += mark
		}
		if by == b.Configs[configCounted] {
			continue
		}
		b.Configs = maps.Clone(b.Configs)
		if b.Configs == nil {
			b.Configs = map[string]string{}
		}
		if b.Configs[configCounted] = by; by == "" {
			delete(b.Configs, configCounted)
		}
		if err := putBucket(t, s, b); err != nil {
			return false, err
		}
	}
	if limit == (Quota{}) {
		return false, t.Delete(key)
	}
	q, found, err := readQuota(t, key)
	if err != nil {
		return false, err
	}
	q.Counting = q.Counting || !found
	q.Limit = limit
	return q.Counting, t.Put(key, encodeQuota(key, &q))
}

// countBefore counts what the buckets hold but for what the record has counted already, at
// the same moment.
func (db *DB) countBefore(ctx context.Context, r Reader, s *scratch, of QuotaOf) (sum Quota, err error) {
	key, buckets, err := db.quotaBuckets(r, s, of)
	if err != nil {
		return sum, err
	}
	q, _, err := readQuota(r, key)
	if err != nil {
		return sum, err
	}
	sum = Quota{-q.Used.Bytes, -q.Used.Objects}
	for i := range buckets {
		var u BucketUsage
		if err := u.count(ctx, r, buckets[i].ID); err != nil {
			return sum, err
		}
		parts, err := uploadedBytes(ctx, r, s, buckets[i].ID)
		if err != nil {
			return sum, err
		}
		sum.Bytes += u.Bytes + parts
		sum.Objects += u.Versions
	}
	return sum, nil
}

// uploadedBytes sums the parts of uploads under way.
func uploadedBytes(ctx context.Context, r Reader, s *scratch, bucket uint64) (size int64, err error) {
	var ids []UploadID
	bad := false
	from := keyIn(nil, spaceUpload, bucket, "")
	err = r.Scan(from, prefixEnd(from), func(k, _ []byte) bool {
		_, id, ok := splitID(k)
		ids, bad = append(ids, id), bad || !ok
		return ctx.Err() == nil
	})
	if err == nil && bad {
		err = fmt.Errorf("key of an upload: %w", ErrCorrupt)
	}
	for i := 0; i < len(ids) && err == nil; i++ {
		err = scanParts(r, s, ids[i], 1, func(p *Part) bool { size += p.Size; return true })
	}
	if err == nil {
		err = ctx.Err()
	}
	return size, err
}

// Quotas lists all quotas: of buckets by name, then of accounts by id.
func (db *DB) Quotas(ctx context.Context) (list []QuotaState, err error) {
	err = db.viewAll(ctx, "list quotas", func(all []Reader, _ *scratch) error {
		list = nil
		buckets, err := bucketsOf(all)
		if err != nil {
			return err
		}
		for i := range buckets {
			q, found, err := readQuota(all[buckets[i].partition], keyBucketQuota(buckets[i].ID))
			if err != nil {
				return err
			}
			if q.Bucket = buckets[i].Name; found {
				list = append(list, q)
			}
		}
		accounts, err := accountQuotas(all)
		for _, q := range accounts {
			list = append(list, q.total())
		}
		return err
	})
	return list, err
}

// countNew marks a new bucket if its owner has a quota.
func countNew(t Txn, b *Bucket) error {
	configs := maps.Clone(b.Configs)
	delete(configs, configCounted)
	if b.Configs = configs; b.Owner == "" {
		return nil
	}
	_, found, err := readQuota(t, keyAccountQuota(b.Owner))
	if err == nil && found {
		if b.Configs == nil {
			b.Configs = map[string]string{}
		}
		b.Configs[configCounted] = "a"
	}
	return err
}

package cluster

import (
	"strings"
	"testing"
)

// goodDivision is after what good has at its top.
const goodDivision = `
[[metadata-cluster]]
name = "scratch"
url = "etcd://b:1/p?tls=true"
buckets = ["scratch-*", "x?"]
[[metadata-cluster]]
name = "runs"
url = "etcd://a:1/other"
buckets = ["*[0-4]"]
`

// divide is good with a home and other metadata clusters.
func divide(home, others string) []byte { return []byte(home + good + others) }

const goodHome = `metadata = "etcd://a:1/p"`

func TestDivision(t *testing.T) {
	f, err := Parse(divide(goodHome, goodDivision))
	if err != nil {
		t.Fatal(err)
	}
	for bucket, want := range map[string]int{
		"scratch-1": 1, "x1": 1, "x": 0, "run-4": 2, "run-5": 0, "scratch": 0, "home": 0,
	} {
		if at := f.Division.Place(bucket); at != want {
			t.Errorf("%s is placed in %d, not %d", bucket, at, want)
		}
	}
	// Where a cluster is, and how to get in, is no part of the map.
	moved, err := Parse(divide(goodHome, strings.Replace(goodDivision, "b:1", "c:1", 1)))
	if err != nil || moved.Division.Number() != f.Division.Number() || strings.Contains(f.Division.Map(), "etcd:") {
		t.Errorf("%v: map %s", err, f.Division.Map())
	}
	other, err := Parse(divide(goodHome, strings.Replace(goodDivision, "x?", "y?", 1)))
	if err != nil || other.Division.Number() == f.Division.Number() {
		t.Errorf("another map has the same number, %v", err)
	}
	if alone, err := Parse([]byte(good)); err != nil || len(alone.Division) != 0 || alone.Division.Place("scratch-1") != 0 {
		t.Errorf("%v", err)
	}
}

func TestDivisionProblems(t *testing.T) {
	_, err := Parse(divide(`metadata = "etcd://a:1,b:1/p"`, `
[[metadata-cluster]]
name = "home"
url = "etcd://c:1/p"
buckets = ["x"]
[[metadata-cluster]]
name = "same"
url = "etcd://b:1/p"
buckets = ["x"]
[[metadata-cluster]]
name = "same"
url = "http://d:1"
[[metadata-cluster]]
name = "none"
url = "etcd://e:1"
[[metadata-cluster]]
name = "pattern"
url = "etcd://f:1"
buckets = ["[a"]
`))
	for _, want := range []string{
		`"home": want a name`, `"same" is the same etcd cluster as "home"`, `"same": want a name`, `"same": metadata URL`,
		`"none": buckets: want`, `"[a" is no pattern`,
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("not said: %s\nin %v", want, err)
		}
	}
	if _, err := Parse(divide("", goodDivision)); err == nil || !strings.Contains(err.Error(), "without metadata") {
		t.Errorf("clusters beside no home: %v", err)
	}
}

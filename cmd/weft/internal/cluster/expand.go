package cluster

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
)

var rangeForm = regexp.MustCompile(`^(.*)\[(\d{1,6})-(\d{1,6})\](.*)$`)

// expand lists what a pattern with one range stands for: "node[08-10]" is node08,
// node09, node10. A pattern without a range stands for itself. Brackets round an IPv6
// address are no range.
func expand(s string) ([]string, error) {
	m := rangeForm.FindStringSubmatch(s)
	if m == nil {
		return []string{s}, nil
	}
	lo, err1 := strconv.Atoi(m[2])
	hi, err2 := strconv.Atoi(m[3])
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	if hi < lo || hi-lo >= maxNodes {
		return nil, fmt.Errorf("range [%s-%s]: want a rising one of at most %d", m[2], m[3], maxNodes)
	}
	width := 0
	if m[2][0] == '0' && len(m[2]) > 1 {
		width = len(m[2])
	}
	list := make([]string, 0, hi-lo+1)
	for i := lo; i <= hi; i++ {
		list = append(list, fmt.Sprintf("%s%0*d%s", m[1], width, i, m[4]))
	}
	return list, nil
}

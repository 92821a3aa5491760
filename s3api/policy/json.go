package policy

import (
	"bytes"
	"encoding/json"
	"io"
)

const maxDepth = 10

// value is JSON with the order and the doubles of its members, which encoding/json's
// own types lose.
type value struct {
	kind    byte   // '"', '0' for a number, 't' for a boolean, 'n' for null, '{' or '['
	text    string // of scalars
	list    []value
	members []member
}

type member struct {
	name  string
	value value
}

var errJSON = malformed("Policies must be valid JSON and the first byte must be '{'")

// parseJSON reads one object and nothing after it.
func parseJSON(data []byte) (value, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if len(data) == 0 || data[0] != '{' {
		return value{}, errJSON
	}
	v, err := readValue(d, 1)
	if err != nil {
		return v, err
	}
	if _, err := d.Token(); err != io.EOF {
		return v, errJSON
	}
	return v, nil
}

func readValue(d *json.Decoder, depth int) (value, error) {
	tok, err := d.Token()
	if err != nil || depth > maxDepth {
		return value{}, errJSON
	}
	switch t := tok.(type) {
	case string:
		return value{kind: '"', text: t}, nil
	case json.Number:
		return value{kind: '0', text: t.String()}, nil
	case bool:
		if t {
			return value{kind: 't', text: "true"}, nil
		}
		return value{kind: 't', text: "false"}, nil
	case json.Delim:
		if t == '{' {
			return readObject(d, depth)
		}
		return readList(d, depth)
	}
	return value{kind: 'n'}, nil
}

func readObject(d *json.Decoder, depth int) (value, error) {
	v := value{kind: '{'}
	seen := map[string]bool{}
	for d.More() {
		tok, err := d.Token()
		name, ok := tok.(string)
		if err != nil || !ok {
			return v, errJSON
		}
		if seen[name] {
			return v, malformed("Policy has a duplicate element: ", name)
		}
		seen[name] = true
		sub, err := readValue(d, depth+1)
		if err != nil {
			return v, err
		}
		v.members = append(v.members, member{name, sub})
	}
	return v, endOf(d)
}

func readList(d *json.Decoder, depth int) (value, error) {
	v := value{kind: '['}
	for d.More() {
		sub, err := readValue(d, depth+1)
		if err != nil {
			return v, err
		}
		v.list = append(v.list, sub)
	}
	return v, endOf(d)
}

func endOf(d *json.Decoder) error {
	if _, err := d.Token(); err != nil {
		return errJSON
	}
	return nil
}

// texts is a string, or a list of them. Scalars of other kinds count when scalars is
// set, as they do for conditions.
func (v *value) texts(scalars bool) ([]string, bool) {
	items := []value{*v}
	if v.kind == '[' {
		items = v.list
	}
	out := make([]string, 0, len(items))
	for i := range items {
		switch k := items[i].kind; {
		case k == '"', scalars && (k == '0' || k == 't'):
			out = append(out, items[i].text)
		default:
			return nil, false
		}
	}
	return out, true
}

package s3api

import (
	"bytes"
	"encoding/xml"
	"io"
	"strings"
)

const (
	maxDocument      = 2 << 20 // bytes of a request's document
	maxPartsDocument = 4 << 20 // of CompleteMultipartUpload, which lists 10,000 parts
	maxXMLDepth      = 8
	maxXMLText       = 8 << 10 // bytes of text in an element
)

// element is a node of a small document. Attributes, comments and name spaces
// are dropped: S3 gives them no meaning.
type element struct {
	name     string
	text     string
	children []element
}

// parseXML reads a document whose root must be named. Documents with a DOCTYPE,
// deeper than maxXMLDepth or with more than nodes elements are refused; entities
// beyond XML's own five are errors of encoding/xml, so nothing expands.
func parseXML(data []byte, root string, nodes int) (*element, error) {
	d := xml.NewDecoder(bytes.NewReader(data))
	p := &xmlParser{d: d, nodes: nodes}
	for {
		tok, err := d.RawToken()
		if err != nil {
			return nil, errMalformedXML
		}
		switch t := tok.(type) {
		case xml.StartElement:
			e := element{name: t.Name.Local}
			if e.name != root || p.fill(&e, 1) != nil || !p.onlySpaceLeft() {
				return nil, errMalformedXML
			}
			return &e, nil
		case xml.CharData:
			if strings.TrimSpace(strings.TrimPrefix(string(t), "\ufeff")) != "" {
				return nil, errMalformedXML
			}
		case xml.ProcInst, xml.Comment:
		default:
			return nil, errMalformedXML
		}
	}
}

type xmlParser struct {
	d     *xml.Decoder
	nodes int
}

// fill reads the content of e up to its end tag.
func (p *xmlParser) fill(e *element, depth int) error {
	if p.nodes--; p.nodes < 0 || depth > maxXMLDepth {
		return errMalformedXML
	}
	for {
		tok, err := p.d.RawToken()
		if err != nil {
			return errMalformedXML
		}
		switch t := tok.(type) {
		case xml.StartElement:
			e.children = append(e.children, element{name: t.Name.Local})
			if err := p.fill(&e.children[len(e.children)-1], depth+1); err != nil {
				return err
			}
		case xml.EndElement:
			if t.Name.Local != e.name {
				return errMalformedXML
			}
			if len(e.children) > 0 {
				e.text = ""
			}
			return nil
		case xml.CharData:
			if len(e.children) > 0 {
				continue
			}
			if len(e.text)+len(t) > maxXMLText {
				return errMalformedXML
			}
			e.text += string(t)
		case xml.Comment:
		default:
			return errMalformedXML
		}
	}
}

// onlySpaceLeft reads what follows the root.
func (p *xmlParser) onlySpaceLeft() bool {
	for {
		tok, err := p.d.RawToken()
		if err != nil {
			return err == io.EOF
		}
		switch t := tok.(type) {
		case xml.CharData:
			if len(bytes.TrimSpace(t)) > 0 {
				return false
			}
		case xml.Comment, xml.ProcInst:
		default:
			return false
		}
	}
}

// child returns the first child of a name, nil if there is none.
func (e *element) child(name string) *element {
	for i := range e.children {
		if e.children[i].name == name {
			return &e.children[i]
		}
	}
	return nil
}

// value returns the text of a child without white space round it, "" if absent.
func (e *element) value(name string) string {
	if c := e.child(name); c != nil {
		return strings.TrimSpace(c.text)
	}
	return ""
}

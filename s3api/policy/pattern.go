package policy

import (
	"strings"
	"unicode/utf8"
)

const maxPattern = 2048

// Symbols of a compiled pattern beside bytes.
const (
	star = 0x100 + iota // any run of characters
	one                 // any character
)

// pattern is a text with wildcards and variables. What a variable stands for is never
// read as a wildcard.
type pattern struct {
	text  string
	plain bool // text is all there is
	code  []uint16
	vars  []variable // in the order of their place
	fold  bool       // letters match without case

	prefix string // what every match begins with, case apart
	rest   []uint16
}

type variable struct {
	at          int // place in code
	key         string
	fallback    string
	hasFallback bool
}

// compile reads a pattern. Without wild, wildcards are characters like others; without
// vars, so are variables (documents of version 2008-10-17 have none).
func compile(text string, wild, vars, fold bool) (pattern, error) {
	p := pattern{text: text, plain: true, fold: fold}
	if len(text) > maxPattern {
		return p, malformed("Policy has an element that is too long")
	}
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case wild && c == '*':
			p.code, p.plain = append(p.code, star), false
		case wild && c == '?':
			p.code, p.plain = append(p.code, one), false
		case vars && c == '$' && strings.HasPrefix(text[i+1:], "{"):
			end := strings.IndexByte(text[i:], '}')
			if end < 0 {
				return p, malformed("Policy has an unclosed variable: ", text)
			}
			if err := p.variable(text[i+2 : i+end]); err != nil {
				return p, err
			}
			i += end
		default:
			p.code = append(p.code, uint16(c))
		}
	}
	p.prefix = p.literal()
	p.rest = p.code[min(len(p.prefix), len(p.code)):]
	return p, nil
}

// variable reads what is between the braces: one of the characters that cannot be
// written otherwise, or a key and possibly a default.
func (p *pattern) variable(s string) error {
	p.plain = false
	switch s {
	case "*", "?", "$":
		p.code = append(p.code, uint16(s[0]))
		return nil
	}
	key, rest, ok := strings.Cut(s, ",")
	v := variable{at: len(p.code), key: normalKey(strings.TrimSpace(key)), hasFallback: ok}
	if rest = strings.TrimSpace(rest); ok {
		if len(rest) < 2 || rest[0] != '\'' || rest[len(rest)-1] != '\'' {
			return malformed("Policy has a variable with an invalid default: ", s)
		}
		v.fallback = rest[1 : len(rest)-1]
	}
	if !validKey(v.key) {
		return malformed("Policy has an invalid variable: ", s)
	}
	p.vars = append(p.vars, v)
	return nil
}

// matches reports whether s is of the pattern; known is false if a variable has no value.
func (p *pattern) matches(s string, ctx Context) (match, known bool) {
	if p.plain {
		return p.text == s || p.fold && len(p.text) == len(s) && strings.EqualFold(p.text, s), true
	}
	n := len(p.prefix)
	if len(s) < n || s[:n] != p.prefix && !(p.fold && strings.EqualFold(s[:n], p.prefix)) {
		return false, true // whatever a variable stands for
	}
	if len(p.vars) > 0 {
		code, ok := p.expand(ctx)
		return ok && glob(code, s, p.fold), ok
	}
	if len(p.rest) == 1 && p.rest[0] == star {
		return true, true
	}
	return glob(p.rest, s[n:], p.fold), true
}

func (p *pattern) expand(ctx Context) ([]uint16, bool) {
	out := make([]uint16, 0, len(p.code)+32*len(p.vars))
	from := 0
	for i := range p.vars {
		v := &p.vars[i]
		out = append(out, p.code[from:v.at]...)
		from = v.at
		text := v.fallback
		switch got := ctx.Values(v.key); {
		case len(got) == 1:
			text = got[0]
		case !v.hasFallback:
			return nil, false
		}
		for j := range len(text) {
			out = append(out, uint16(text[j]))
		}
	}
	return append(out, p.code[from:]...), true
}

// glob matches with one point to come back to, the last star.
func glob(code []uint16, s string, fold bool) bool {
	i, j := 0, 0
	back, from := -1, 0
	for j < len(s) {
		switch {
		case i < len(code) && code[i] == star:
			i++
			back, from = i, j
			continue
		case i < len(code) && code[i] == one:
			_, n := utf8.DecodeRuneInString(s[j:])
			i, j = i+1, j+n
			continue
		case i < len(code) && same(code[i], s[j], fold):
			i, j = i+1, j+1
			continue
		case back < 0:
			return false
		}
		_, n := utf8.DecodeRuneInString(s[from:])
		from += n
		i, j = back, from
	}
	for i < len(code) && code[i] == star {
		i++
	}
	return i == len(code)
}

func same(c uint16, b byte, fold bool) bool {
	if fold {
		return lower(byte(c)) == lower(b)
	}
	return byte(c) == b
}

func lower(b byte) byte {
	if 'A' <= b && b <= 'Z' {
		return b + 'a' - 'A'
	}
	return b
}

// literal is what every match begins with.
func (p *pattern) literal() string {
	if p.plain {
		return p.text
	}
	n := len(p.code)
	if len(p.vars) > 0 {
		n = p.vars[0].at
	}
	var b strings.Builder
	for _, c := range p.code[:n] {
		if c > 0xff {
			break
		}
		b.WriteByte(byte(c))
	}
	return b.String()
}

// fixed reports whether the pattern matches one text only.
func (p *pattern) fixed() bool {
	for _, c := range p.code {
		if c > 0xff {
			return false
		}
	}
	return len(p.vars) == 0
}

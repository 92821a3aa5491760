package tidy

import (
	"go/ast"
	"regexp"
	"strings"
)

// sizes reports files, functions and interfaces that have outgrown their limit.
func sizes(g *goFile) []Finding {
	var found []Finding
	limit := maxFileLines
	if g.test {
		limit = maxTestFileLines
	}
	if g.lines > limit {
		found = append(found, g.at(g.ast.Package, "file-size", "%d lines, the limit is %d", g.lines, limit))
	}
	ast.Inspect(g.ast, func(node ast.Node) bool {
		switch n := node.(type) {
		case *ast.FuncDecl:
			lines := g.fset.Position(n.End()).Line - g.fset.Position(n.Pos()).Line + 1
			if lines > maxFuncLines {
				found = append(found, g.at(n.Pos(), "func-size", "%s has %d lines, the limit is %d", n.Name.Name, lines, maxFuncLines))
			}
		case *ast.InterfaceType:
			if methods := countMethods(n); methods > maxMethods {
				found = append(found, g.at(n.Pos(), "interface-size", "%d methods, the limit is %d", methods, maxMethods))
			}
		}
		return true
	})
	return found
}

// countMethods counts the methods an interface declares itself; what it embeds is counted where it is declared.
func countMethods(n *ast.InterfaceType) int {
	count := 0
	for _, field := range n.Methods.List {
		if _, ok := field.Type.(*ast.FuncType); ok {
			count += len(field.Names)
		}
	}
	return count
}

// packageComment reports a package none of whose files has a comment right before its package clause. A package
// of tests only may have it in a test.
func packageComment(files []*goFile) []Finding {
	var first *goFile
	testsOnly := true
	for _, g := range files {
		testsOnly = testsOnly && g.test
	}
	for _, g := range files {
		if g.test && !testsOnly {
			continue
		}
		if g.ast.Doc != nil {
			return nil
		}
		if first == nil {
			first = g
		}
	}
	return []Finding{first.at(first.ast.Package, "package-comment", "no file of package %s has a comment right before `package`", first.ast.Name.Name)}
}

// The words are in pieces so that this file does not break its own rules.
var (
	outside = ".." + "/shared"
	ownerly = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME)\b(\([^)\s]+\))?`)
)

// checkText reports what no text file may have.
func checkText(name, text string) []Finding {
	var found []Finding
	report := func(line int, rule, what string) {
		found = append(found, Finding{File: name, Line: line, Rule: rule, Text: what})
	}
	if text != "" && !strings.HasSuffix(text, "\n") {
		report(strings.Count(text, "\n")+1, "final-newline", "the last line has no newline")
	}
	if name == "LICENSE" {
		return found
	}
	number := 0
	for line := range strings.Lines(text) {
		number++
		if strings.Contains(line, outside) {
			report(number, "outside", "names "+outside+", which is not part of the project")
		}
		if i := strings.IndexFunc(line, isEmoji); i >= 0 {
			report(number, "emoji", "has an emoji")
		}
		for _, match := range ownerly.FindAllStringSubmatch(line, -1) {
			if match[2] == "" {
				report(number, "owner", match[1]+" without an owner in parentheses")
			}
		}
	}
	return found
}

// isEmoji tells pictographs from letters and from the arrows and box lines that diagrams use.
func isEmoji(r rune) bool {
	switch {
	case r >= 0x1F000 && r <= 0x1FAFF: // the emoji blocks beyond the basic plane
		return true
	case r >= 0x2600 && r <= 0x27BF: // miscellaneous symbols, dingbats
		return true
	case r == 0x2B50 || r == 0x2B55 || r == 0x2B1B || r == 0x2B1C: // star, circle, squares
		return true
	}
	return r == 0xFE0F // asks for emoji presentation of the rune before it
}

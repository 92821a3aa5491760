package sigv4

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// suspects are names of what a stranger must not find out byte by byte.
func suspect(e ast.Expr) bool {
	found := false
	ast.Inspect(e, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok {
			name := strings.ToLower(id.Name)
			found = found || name == "signature" || name == "seed" || name == "mac"
		}
		return true
	})
	return found
}

// unsafeCompares finds comparisons of signatures whose time depends on what is compared.
func unsafeCompares(fset *token.FileSet, file ast.Node) (found []string) {
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BinaryExpr:
			if lit, ok := n.Y.(*ast.BasicLit); ok && lit.Value == `""` {
				return true // whether it is there
			}
			if (n.Op == token.EQL || n.Op == token.NEQ) && (suspect(n.X) || suspect(n.Y)) && !strings.Contains(sizes(n), "len") {
				found = append(found, fset.Position(n.Pos()).String())
			}
		case *ast.CallExpr:
			s, ok := n.Fun.(*ast.SelectorExpr)
			if !ok || len(n.Args) != 2 || s.Sel.Name != "Equal" && s.Sel.Name != "EqualFold" && s.Sel.Name != "Compare" {
				return true
			}
			if pkg, ok := s.X.(*ast.Ident); ok && pkg.Name != "hmac" && (suspect(n.Args[0]) || suspect(n.Args[1])) {
				found = append(found, fset.Position(n.Pos()).String())
			}
		}
		return true
	})
	return found
}

// sizes names the functions that a comparison's sides call.
func sizes(n *ast.BinaryExpr) string {
	var b strings.Builder
	for _, side := range []ast.Expr{n.X, n.Y} {
		if call, ok := side.(*ast.CallExpr); ok {
			if id, ok := call.Fun.(*ast.Ident); ok {
				b.WriteString(id.Name)
			}
		}
	}
	return b.String()
}

// TestConstantTime: signatures are compared by crypto/subtle alone. A clock would tell
// less on a busy machine than the source does.
func TestConstantTime(t *testing.T) {
	fset := token.NewFileSet()
	names, err := filepath.Glob("*.go")
	if err != nil || len(names) < 10 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(fset, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range unsafeCompares(fset, file) {
			t.Errorf("%s: compares a signature in a time that tells where it differs", at)
		}
	}
	for _, planted := range []string{"string(want) == a.signature", "a.signature != string(x)", "bytes.Equal(signature, given)", "strings.EqualFold(signature, other)", "r.seed == s"} {
		e, err := parser.ParseExprFrom(fset, "planted", planted, 0)
		if err != nil || len(unsafeCompares(fset, e)) != 1 {
			t.Errorf("%s goes unnoticed (%v)", planted, err)
		}
	}
}

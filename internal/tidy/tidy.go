package tidy

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
)

// Limits of size. A test file may be longer because its tables are.
const (
	maxFileLines     = 500
	maxTestFileLines = 700
	maxFuncLines     = 100
	maxMethods       = 7
)

// Finding is one breach of a rule.
type Finding struct {
	File string // slash-separated, relative to the root
	Line int    // from 1; 0 when the finding is about the whole file
	Rule string // one of the names in the package's rules, such as "file-size"
	Text string
}

func (f Finding) String() string {
	return fmt.Sprintf("%s:%d: %s: %s", f.File, max(f.Line, 1), f.Rule, f.Text)
}

// exceptions names the breaches that are accepted: "file rule" -> why. Keep it empty.
var exceptions = map[string]string{}

// goFile is one parsed Go source.
type goFile struct {
	name      string // path from the root
	dir       string
	test      bool
	generated bool
	lines     int
	fset      *token.FileSet
	ast       *ast.File
}

func (g *goFile) at(pos token.Pos, rule, format string, args ...any) Finding {
	return Finding{File: g.name, Line: g.fset.Position(pos).Line, Rule: rule, Text: fmt.Sprintf(format, args...)}
}

// Check reads every file below root and returns what breaks a rule, ordered by file and line. module is the
// module path, by which the module's own imports are known. An error means that a file could not be read or
// parsed, not that a rule is broken.
func Check(root fs.FS, module string) ([]Finding, error) {
	var found []Finding
	packages := map[string][]*goFile{}
	err := fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if skipDir(name) {
				return fs.SkipDir
			}
			return nil
		}
		if !entry.Type().IsRegular() {
			return nil
		}
		text, file, err := readFile(root, name)
		if err != nil {
			return err
		}
		found = append(found, text...)
		if file != nil {
			packages[file.dir] = append(packages[file.dir], file)
			found = append(found, checkFile(file, module)...)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("tidy: %w", err)
	}
	for _, dir := range slices.Sorted(maps.Keys(packages)) {
		found = append(found, packageComment(packages[dir])...)
	}
	found = slices.DeleteFunc(found, func(f Finding) bool { return exceptions[f.File+" "+f.Rule] != "" })
	slices.SortStableFunc(found, func(a, b Finding) int {
		if c := strings.Compare(a.File, b.File); c != 0 {
			return c
		}
		return a.Line - b.Line
	})
	return found, nil
}

// skipDir tells which directories hold nothing of the repository's own: what .gitignore names, and fuzz corpora.
func skipDir(name string) bool {
	switch name {
	case ".git", ".cache", ".venv", "bin", "data":
		return true
	}
	return path.Base(name) == "testdata" || path.Base(name) == "__pycache__"
}

// readFile checks a file as text and parses it if it is Go. Binary files are neither.
func readFile(root fs.FS, name string) ([]Finding, *goFile, error) {
	data, err := fs.ReadFile(root, name)
	if err != nil {
		return nil, nil, err
	}
	if slices.Contains(data[:min(len(data), 8000)], 0) {
		return nil, nil, nil
	}
	found := checkText(name, string(data))
	if path.Ext(name) != ".go" {
		return found, nil, nil
	}
	fset := token.NewFileSet()
	parsed, err := parser.ParseFile(fset, name, data, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, nil, err
	}
	return found, &goFile{
		name:      name,
		dir:       path.Dir(name),
		test:      strings.HasSuffix(name, "_test.go"),
		generated: ast.IsGenerated(parsed),
		lines:     strings.Count(string(data), "\n"),
		fset:      fset,
		ast:       parsed,
	}, nil
}

func checkFile(g *goFile, module string) []Finding {
	found := imports(g, module)
	if g.generated {
		return found
	}
	return append(found, sizes(g)...)
}

package kpm_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// passage is a piece of text that people read: a page, one comment or one
// string literal. White space in text is single spaces, so that a citation may
// cross a line end; in a page's raw text it is as written.
type passage struct {
	at   string // file, and line if it is part of one
	kind kind
	text string
}

type kind int

const (
	isPage        kind = iota
	isComment          // of any Go file
	isLiteral          // of a Go file that is in an executable
	isTestLiteral      // of tests and of vmtests
	isData             // JSON that is part of an executable
)

// pages returns the markdown files of the repository by path, as written.
func pages(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	files(t, ".md", func(path string, data []byte) { found[path] = string(data) })
	if len(found) < 10 {
		t.Fatalf("%d pages were found", len(found))
	}
	return found
}

// passages returns everything that people read, pages included.
func passages(t *testing.T) []passage {
	t.Helper()
	var all []passage
	for path, text := range pages(t) {
		all = append(all, passage{path, isPage, squeeze(text)})
	}
	files(t, ".json", func(path string, data []byte) {
		all = append(all, passage{path, isData, squeeze(string(data))})
	})
	fset := token.NewFileSet()
	files(t, ".go", func(path string, data []byte) {
		file, err := parser.ParseFile(fset, path, data, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range file.Comments {
			all = append(all, passage{fset.Position(c.Pos()).String(), isComment, squeeze(c.Text())})
		}
		literals := isLiteral
		if strings.HasSuffix(path, "_test.go") || strings.HasPrefix(path, "vmtests"+string(filepath.Separator)) {
			literals = isTestLiteral
		}
		eachText(file, func(at token.Pos, text string) {
			all = append(all, passage{fset.Position(at).String(), literals, squeeze(text)})
		})
	})
	return all
}

// files calls visit for every file of the repository whose name ends in ext.
func files(t *testing.T, ext string, visit func(path string, data []byte)) {
	t.Helper()
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (path == "build" || path == ".git" || entry.Name() == "testdata"):
			return filepath.SkipDir
		case entry.IsDir() || filepath.Ext(path) != ext:
			return nil
		}
		data, err := os.ReadFile(path)
		if err == nil {
			visit(path, data)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// eachText calls visit for the string constants below n. Those that are joined
// with + are one text, in which "%v" stands for what is not constant. Import
// paths and field tags are left out.
func eachText(n ast.Node, visit func(at token.Pos, text string)) {
	ast.Inspect(n, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ImportSpec:
			return false
		case *ast.Field:
			eachText(n.Type, visit)
			return false
		case *ast.BinaryExpr:
			if text, ok := joined(n); ok {
				visit(n.Pos(), text)
				eachVariable(n, func(e ast.Expr) { eachText(e, visit) })
				return false
			}
		case *ast.BasicLit:
			if text, ok := joined(n); ok {
				visit(n.Pos(), text)
			}
		}
		return true
	})
}

// eachVariable calls visit for the operands of + that are not constants.
func eachVariable(e ast.Expr, visit func(ast.Expr)) {
	switch e := e.(type) {
	case *ast.BasicLit:
	case *ast.ParenExpr:
		eachVariable(e.X, visit)
	case *ast.BinaryExpr:
		eachVariable(e.X, visit)
		eachVariable(e.Y, visit)
	default:
		visit(e)
	}
}

// joined is the text of a string expression, and whether it has any.
func joined(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		return text, err == nil && e.Kind == token.STRING
	case *ast.ParenExpr:
		return joined(e.X)
	case *ast.BinaryExpr:
		if e.Op != token.ADD {
			return "%v", false
		}
		left, some := joined(e.X)
		right, more := joined(e.Y)
		return left + right, some || more
	}
	return "%v", false
}

func squeeze(text string) string { return strings.Join(strings.Fields(text), " ") }

// withoutCode returns a page without its fenced blocks, which hold examples.
func withoutCode(page string) string {
	var kept strings.Builder
	fenced := false
	for line := range strings.Lines(page) {
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			fenced = !fenced
		} else if !fenced {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

// headings returns the headings of a page, without their marks.
func headings(page string) []string {
	var found []string
	for line := range strings.Lines(withoutCode(page)) {
		if title := strings.TrimLeft(line, "#"); title != line && strings.HasPrefix(title, " ") {
			found = append(found, strings.TrimSpace(title))
		}
	}
	return found
}

package arrows

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// source is one file of Go, C or shell.
type source struct {
	name      string // in the repository
	text      []byte
	generated bool
}

func sources(t *testing.T, suffixes ...string) (out []source) {
	top := root(t)
	require.NoError(t, filepath.WalkDir(top, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(top, file)
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name == ".git" || name == "bin" || d.Name() == "testdata" {
				return filepath.SkipDir
			}
			return nil
		}
		if !slices.Contains(suffixes, filepath.Ext(name)) {
			return nil
		}
		text, err := os.ReadFile(file)
		head, _, _ := bytes.Cut(text, []byte("\npackage "))
		out = append(out, source{name, text, bytes.Contains(head, []byte("// Code generated "))})
		return err
	}))
	return out
}

func parse(t *testing.T, s source, mode parser.Mode) (*token.FileSet, *ast.File) {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, s.name, s.text, mode)
	require.NoError(t, err)
	return fset, f
}

func TestUnsafeIsInFilesThatSaySo(t *testing.T) {
	for _, s := range sources(t, ".go") {
		base := strings.TrimSuffix(strings.TrimSuffix(s.name, ".go"), "_test")
		if s.generated || strings.HasSuffix(base, "_unsafe") || in(s.name, unsafeRooms...) {
			continue
		}
		_, f := parse(t, s, parser.ImportsOnly)
		for _, imp := range f.Imports {
			assert.NotEqual(t, `"unsafe"`, imp.Path.Value, "%s: reviewers look for unsafe in files named *_unsafe.go", s.name)
		}
	}
}

func TestFilesAreOfReadableLength(t *testing.T) {
	for _, s := range sources(t, ".go", ".c", ".h", ".sh") {
		lines := bytes.Count(s.text, []byte("\n"))
		switch reason := longFiles[s.name]; {
		case s.generated:
		case reason == "" && lines > maxFileLines:
			t.Errorf("%s has %d lines, more than %d: cut it, or give it a reason in longFiles", s.name, lines, maxFileLines)
		case reason != "" && lines <= maxFileLines:
			t.Errorf("%s has %d lines: it needs no reason in longFiles any more", s.name, lines)
		}
	}
	for name := range longFiles {
		assert.FileExists(t, filepath.Join(root(t), name), "longFiles names a file that is gone")
	}
}

func TestFunctionsFitAScreen(t *testing.T) {
	used := map[string]bool{}
	for _, s := range sources(t, ".go") {
		if s.generated || strings.HasSuffix(s.name, "_test.go") { // a table of cases may be long
			continue
		}
		fset, f := parse(t, s, parser.SkipObjectResolution)
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			lines := fset.Position(fn.End()).Line - fset.Position(fn.Pos()).Line + 1
			name := fmt.Sprintf("%s:%s", s.name, fn.Name.Name)
			if lines > maxFunctionLines && longFunctions[name] == "" {
				t.Errorf("%s has %d lines, more than %d: cut it, or give it a reason in longFunctions", name, lines, maxFunctionLines)
			}
			used[name] = lines > maxFunctionLines
		}
	}
	for name := range longFunctions {
		assert.True(t, used[name], "longFunctions names %s, which is gone or short", name)
	}
}

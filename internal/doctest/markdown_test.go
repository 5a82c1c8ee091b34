package doctest

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// document is a Markdown file, taken apart.
type document struct {
	name   string // in the repository
	prose  []line // without fenced blocks
	blocks []block
}

type line struct {
	number int
	text   string
}

// block is a fenced block of code.
type block struct {
	number   int // of its first line
	language string
	lines    []string
}

func (b block) text() string { return strings.Join(b.lines, "\n") + "\n" }

// root is the repository's folder.
func root(t *testing.T) string {
	dir, err := filepath.Abs("../..")
	require.NoError(t, err)
	require.FileExists(t, filepath.Join(dir, "go.mod"))
	return dir
}

// documents reads all Markdown of the repository.
func documents(t *testing.T) (out []document) {
	top := root(t)
	require.NoError(t, filepath.WalkDir(top, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == ".git" || d.Name() == "bin" || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if filepath.Ext(file) != ".md" {
			return nil
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(top, file)
		out = append(out, dissect(name, string(text)))
		return err
	}))
	return out
}

var fence = regexp.MustCompile("^( *)(```+)(\\w*)")

// dissect parts prose from fenced blocks.
func dissect(name, text string) document {
	d := document{name: name}
	var open []string // the match of the fence that is open
	for i, l := range strings.Split(text, "\n") {
		m := fence.FindStringSubmatch(l)
		switch {
		case open == nil && m != nil:
			open = m
			d.blocks = append(d.blocks, block{number: i + 2, language: m[3]})
		case open != nil && m != nil && len(m[2]) >= len(open[2]) && m[3] == "":
			open = nil
		case open != nil:
			b := &d.blocks[len(d.blocks)-1]
			b.lines = append(b.lines, strings.TrimPrefix(l, open[1]))
		default:
			d.prose = append(d.prose, line{i + 1, l})
		}
	}
	return d
}

var (
	codeSpan = regexp.MustCompile("`([^`]+)`")
	link     = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading  = regexp.MustCompile(`^#{1,6} +(.*?) *#*$`)
	notSlug  = regexp.MustCompile(`[^\p{L}\p{N}\- _]`)
)

// anchors are the names under which the headings can be linked to, as GitHub forms them.
func (d document) anchors() map[string]bool {
	out := map[string]bool{}
	for _, l := range d.prose {
		if m := heading.FindStringSubmatch(l.text); m != nil {
			slug := strings.ToLower(notSlug.ReplaceAllString(m[1], ""))
			out[strings.ReplaceAll(slug, " ", "-")] = true
		}
	}
	return out
}

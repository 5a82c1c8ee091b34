package doctest

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/sluicenet/sluice/policy"
)

func TestLinksResolve(t *testing.T) {
	docs := map[string]document{}
	for _, d := range documents(t) {
		docs[d.name] = d
	}
	for _, d := range docs {
		for _, l := range d.prose {
			for _, m := range link.FindAllStringSubmatch(codeSpan.ReplaceAllString(l.text, ""), -1) {
				if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "mailto:") {
					continue
				}
				file, anchor, _ := strings.Cut(m[1], "#")
				target := d.name
				if file != "" {
					target = filepath.Join(filepath.Dir(d.name), file)
					assert.True(t, exists(t, target), "%s:%d links to %s, which does not exist", d.name, l.number, m[1])
				}
				if anchor != "" {
					assert.True(t, docs[target].anchors()[anchor], "%s:%d links to %s: %s has no such heading", d.name, l.number, m[1], target)
				}
			}
		}
	}
}

// aPath is a path inside the repository, as documents write it. Absolute paths are of a user's machine, and bin/ is built.
var aPath = regexp.MustCompile(`^\.?[\w-][\w.-]*(/[\w.*-]+)+/?$`)

func TestPathsExist(t *testing.T) {
	top, err := os.ReadDir(root(t))
	require.NoError(t, err)
	for _, d := range documents(t) {
		for _, l := range d.prose {
			for _, m := range codeSpan.FindAllStringSubmatch(l.text, -1) {
				first, _, _ := strings.Cut(m[1], "/")
				ours := slices.ContainsFunc(top, func(e os.DirEntry) bool { return e.Name() == first })
				if !aPath.MatchString(m[1]) || !ours || first == "bin" {
					continue
				}
				assert.True(t, exists(t, m[1]), "%s:%d names %s, which does not exist", d.name, l.number, m[1])
			}
		}
	}
}

func exists(t *testing.T, name string) bool {
	found, err := filepath.Glob(filepath.Join(root(t), name))
	require.NoError(t, err)
	return len(found) > 0
}

// A block that begins with the host is a whole configuration, and must be one that the daemon takes.
func TestYAMLIsAccepted(t *testing.T) {
	for _, d := range documents(t) {
		for _, b := range d.blocks {
			if b.language != "yaml" {
				continue
			}
			var node yaml.Node
			if !assert.NoError(t, yaml.Unmarshal([]byte(b.text()), &node), "%s:%d is no YAML", d.name, b.number) || !isConfig(b) {
				continue
			}
			_, err := policy.Parse(d.name, []byte(b.text()))
			var bad *policy.Errors
			if errors.As(err, &bad) {
				for _, p := range bad.Problems {
					t.Errorf("%s: in the block at line %d: %v", d.name, b.number, p)
				}
			} else {
				assert.NoError(t, err)
			}
		}
	}
}

func isConfig(b block) bool {
	for _, l := range b.lines {
		if l = strings.TrimSpace(l); l != "" && !strings.HasPrefix(l, "#") {
			return strings.HasPrefix(l, "host:")
		}
	}
	return false
}

func TestShellIsSound(t *testing.T) {
	targets := makeTargets(t)
	made := regexp.MustCompile(`(?:^|[\s;&])make ([a-z][a-z0-9-]*)`)
	for _, d := range documents(t) {
		for _, b := range d.blocks {
			if b.language != "sh" {
				continue
			}
			cmd := exec.Command("bash", "-n")
			cmd.Stdin = strings.NewReader(b.text())
			out, err := cmd.CombinedOutput()
			assert.NoError(t, err, "%s:%d: bash cannot read this: %s", d.name, b.number, out)
			for _, m := range made.FindAllStringSubmatch(b.text(), -1) {
				assert.True(t, targets[m[1]], "%s:%d: there is no `make %s`", d.name, b.number, m[1])
			}
		}
		for _, l := range d.prose {
			for _, span := range codeSpan.FindAllStringSubmatch(l.text, -1) {
				if target, ok := strings.CutPrefix(span[1], "make "); ok {
					target, _, _ = strings.Cut(target, " ")
					assert.True(t, targets[target], "%s:%d: there is no `make %s`", d.name, l.number, target)
				}
			}
		}
	}
}

// commands finds `sluice a b --flag` in shell blocks and in prose, by where it stands.
func (d document) commands() map[string]string {
	used := regexp.MustCompile(`(?:^|[\s/])sluice ([a-z][^|#;&]*)`)
	out := map[string]string{}
	note := func(number int, text string) {
		if m := used.FindStringSubmatch(text); m != nil {
			out[fmt.Sprintf("%s:%d: %s", d.name, number, strings.TrimSpace(m[0]))] = m[1]
		}
	}
	for _, b := range d.blocks {
		for i, l := range b.lines {
			if b.language == "sh" {
				note(b.number+i, l)
			}
		}
	}
	for _, l := range d.prose {
		for _, span := range codeSpan.FindAllStringSubmatch(l.text, -1) {
			note(l.number, span[1])
		}
	}
	return out
}

// The command itself is asked whether the words are commands of its own, and the flags theirs.
func TestSluiceCommandsAndFlagsExist(t *testing.T) {
	bin := filepath.Join(t.TempDir(), "sluice")
	build := exec.Command("go", "build", "-o", bin, "./cmd/sluice")
	build.Dir, build.Env = root(t), append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))
	help := map[string]string{}
	ask := func(words []string) string {
		key := strings.Join(words, " ")
		if help[key] == "" {
			out, err := exec.Command(bin, append(slices.Clone(words), "--help")...).CombinedOutput()
			require.NoError(t, err, "%s: %s", key, out)
			help[key] = string(out)
		}
		return help[key]
	}
	for _, d := range documents(t) {
		for where, text := range d.commands() {
			for _, fault := range commandFaults(strings.Fields(text), ask) {
				t.Errorf("%s: %s", where, fault)
			}
		}
	}
	assert.Equal(t, []string{"there is no command nonsense"}, commandFaults([]string{"nonsense"}, ask))
	assert.Equal(t, []string{"there is no command nonsense"}, commandFaults([]string{"nic", "nonsense"}, ask))
	assert.Equal(t, []string{"there is no flag --nonsense"}, commandFaults([]string{"nic", "bind", "x", "--nonsense"}, ask))
	assert.Empty(t, commandFaults([]string{"nic", "bind", "x", "--dry-run", "-o", "json"}, ask))
}

// commandFaults follows the words of a command line through the help of the commands that they name.
func commandFaults(words []string, help func([]string) string) (faults []string) {
	var command []string
	for _, word := range words {
		text := help(command)
		flag, isFlag := strings.CutPrefix(word, "--")
		switch {
		case isFlag && !regexp.MustCompile(`(?m)^ .*--`+regexp.QuoteMeta(flag)+`\b`).MatchString(text):
			faults = append(faults, "there is no flag --"+flag)
		case isFlag, strings.HasPrefix(word, "-"):
		case regexp.MustCompile(`(?m)^  ` + regexp.QuoteMeta(word) + ` `).MatchString(text):
			command = append(command, word)
		case len(command) == 0 || strings.Contains(text, "Available Commands:"):
			faults = append(faults, "there is no command "+word)
			return faults
		}
	}
	return faults
}

func makeTargets(t *testing.T) map[string]bool {
	text, err := os.ReadFile(filepath.Join(root(t), "Makefile"))
	require.NoError(t, err)
	out := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^([a-z][a-z0-9-]*):[^=]`).FindAllStringSubmatch(string(text), -1) {
		out[m[1]] = true
	}
	require.True(t, out["demo"] && out["test"])
	return out
}

func TestMakeHelpExplainsTheTargets(t *testing.T) {
	cmd := exec.Command("make", "-s", "help")
	cmd.Dir = root(t)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	for _, target := range []string{"deps", "build", "test", "lint", "fuzz", "bench", "e2e", "demo", "run", "install", "help"} {
		assert.Regexp(t, `(?m)^  make `+target+` +\S`, string(out))
	}
}

func TestConfigReferenceKnowsEveryKeyAndDefault(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root(t), "docs/CONFIG.md"))
	require.NoError(t, err)
	for _, key := range configKeys(t) {
		assert.Regexp(t, "`"+key+"`", string(text), "docs/CONFIG.md does not explain the key %s", key)
	}
	for _, d := range policy.Defaults {
		last := d.Key[strings.LastIndexByte(d.Key, '.')+1:]
		row := regexp.MustCompile("(?m)^\\|[^|]*`"+last+"`[^|]*\\|.*$").FindAllString(string(text), -1)
		found := slices.ContainsFunc(row, func(r string) bool { return d.Value == "" || strings.Contains(r, "`"+d.Value+"`") })
		assert.True(t, found, "docs/CONFIG.md has no row for %s with its default %q", d.Key, d.Value)
	}
}

// configKeys finds the keys that the parser knows: the first member of each field in the tables of its source.
func configKeys(t *testing.T) (keys []string) {
	files, err := filepath.Glob(filepath.Join(root(t), "policy/fields*.go"))
	require.NoError(t, err)
	var decls []ast.Decl
	for _, file := range files {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		decls = append(decls, f.Decls...)
	}
	for _, d := range decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || !strings.HasSuffix(fn.Name.Name, "Fields") {
			continue
		}
		ast.Inspect(fn, func(n ast.Node) bool {
			if lit, ok := n.(*ast.CompositeLit); ok && len(lit.Elts) == 3 {
				if key, ok := lit.Elts[0].(*ast.BasicLit); ok && key.Kind == token.STRING {
					k, err := strconv.Unquote(key.Value)
					require.NoError(t, err)
					keys = append(keys, k)
				}
			}
			return true
		})
	}
	require.Greater(t, len(keys), 30, "the tables of keys were not found: has their shape changed?")
	require.Contains(t, keys, "providerAddresses")
	return keys
}

func TestDissect(t *testing.T) {
	d := dissect("x.md", "# A `b`, c\ntext\n   ```yaml\n   host: {name: a}\n     b: 1\n   ```\nmore\n````\n```sh\n````\n## Zweite Überschrift!\n")
	require.Len(t, d.blocks, 2)
	assert.Equal(t, block{4, "yaml", []string{"host: {name: a}", "  b: 1"}}, d.blocks[0])
	assert.Equal(t, block{9, "", []string{"```sh"}}, d.blocks[1])
	assert.Equal(t, map[string]bool{"a-b-c": true, "zweite-überschrift": true}, d.anchors())
	assert.Equal(t, line{2, "text"}, d.prose[1])
	assert.True(t, isConfig(block{lines: []string{"", "# host-a", "host: {name: a}"}}))
	assert.False(t, isConfig(block{lines: []string{"records: []"}}))
}

package arrows

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const module = "github.com/sluicenet/sluice"

// unit is what `go list` says of a package.
type unit struct {
	ImportPath string
	Name       string
	Dir        string
	Standard   bool
	Imports    []string // of the code, without tests
	CgoFiles   []string
	Error      *struct{ Err string }
}

// graph is a set of packages by import path, with all that they depend on.
type graph map[string]*unit

// path is a package's folder in the repository; ok is false for a package of somebody else.
func path(importPath string) (folder string, ok bool) {
	folder, ok = strings.CutPrefix(importPath, module+"/")
	return folder, ok
}

// in reports whether a folder is one of list, or below.
func in(folder string, list ...string) bool {
	return slices.ContainsFunc(list, func(l string) bool { return folder == l || strings.HasPrefix(folder, l+"/") })
}

func room(folder string) string {
	first, _, _ := strings.Cut(folder, "/")
	return first
}

// list asks the go command for all packages of the repository and what they need, as they are built with cgo or
// without.
func list(t *testing.T, cgo string) graph {
	cmd := exec.Command("go", "list", "-e", "-deps", "-json=ImportPath,Name,Dir,Standard,Imports,CgoFiles,Error", "./...")
	cmd.Dir = root(t)
	cmd.Env = append(os.Environ(), "CGO_ENABLED="+cgo)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, "go list: %s", stderr.String())
	g := graph{}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var u unit
		if err := dec.Decode(&u); errors.Is(err, io.EOF) {
			return g
		} else {
			require.NoError(t, err)
		}
		g[u.ImportPath] = &u
	}
}

// root is the repository's folder.
func root(t *testing.T) string {
	dir, err := filepath.Abs("../..")
	require.NoError(t, err)
	require.FileExists(t, filepath.Join(dir, "go.mod"))
	return dir
}

// directFaults finds imports that the table of rooms does not allow.
func directFaults(g graph) (faults []string) {
	for _, u := range g {
		from, ours := path(u.ImportPath)
		if !ours {
			continue
		}
		r, known := rooms[room(from)]
		if !known {
			continue // the test of folders says so
		}
		for _, imp := range u.Imports {
			to, ours := path(imp)
			if ours && room(to) != room(from) && !slices.Contains(strings.Fields(r.imports), room(to)) {
				faults = append(faults, fmt.Sprintf("%s imports %s: %s", from, to, r.why))
			}
			if imp == "C" && room(from) != "dpdk" {
				faults = append(faults, fmt.Sprintf("%s imports \"C\": all C is in dpdk, where its rules are known and its layout is checked", from))
			}
		}
	}
	slices.Sort(faults)
	return faults
}

// reachFaults finds what packages must not reach, with the way that leads there.
func reachFaults(g graph) (faults []string) {
	for _, u := range g {
		from, ours := path(u.ImportPath)
		if !ours {
			continue
		}
		for _, rule := range never {
			if (rule.from != "" && !in(from, rule.from)) || in(from, rule.but...) || in(from, rule.to) {
				continue
			}
			if way := g.way(u.ImportPath, rule.to, map[string]bool{}); way != nil {
				faults = append(faults, fmt.Sprintf("%s reaches %s (%s): %s", from, rule.to, strings.Join(way, " -> "), rule.why))
			}
		}
	}
	slices.Sort(faults)
	return faults
}

// way finds a chain of imports from a package to a folder of ours or to somebody else's package or below.
func (g graph) way(from, to string, seen map[string]bool) []string {
	if seen[from] || g[from] == nil || g[from].Standard {
		return nil
	}
	seen[from] = true
	for _, imp := range g[from].Imports {
		name := imp
		if folder, ours := path(imp); ours {
			name = folder
		}
		if in(name, to) {
			return []string{name}
		}
		if rest := g.way(imp, to, seen); rest != nil {
			return append([]string{name}, rest...)
		}
	}
	return nil
}

func TestRoomsImportOnlyWhatTheyMay(t *testing.T) {
	assert.Empty(t, directFaults(list(t, "1")))
}

func TestNobodyReachesWhatTheyMustNot(t *testing.T) {
	assert.Empty(t, reachFaults(list(t, "1")))
}

func TestAllButDPDKIsCompleteWithoutCgo(t *testing.T) {
	g := list(t, "0")
	for _, u := range g {
		from, ours := path(u.ImportPath)
		if ours && !in(from, "dpdk", "cmd/sluiced", "cmd/sluice-pktgen") {
			assert.Nil(t, u.Error, "%s cannot be built with CGO_ENABLED=0", from)
		}
	}
	for _, u := range list(t, "1") {
		if from, ours := path(u.ImportPath); ours && len(u.CgoFiles) > 0 {
			assert.Equal(t, "dpdk", from, "all C is in dpdk, where its rules are known and its layout is checked")
		}
	}
}

func TestPackageNamesSayWhatIsInside(t *testing.T) {
	for _, u := range list(t, "1") {
		if from, ours := path(u.ImportPath); ours {
			assert.NotContains(t, noNames, u.Name, "%s: a name that fits everything hides a piece that is cut wrong", from)
		}
	}
}

func TestTopLevelFoldersAreTheRooms(t *testing.T) {
	entries, err := os.ReadDir(root(t))
	require.NoError(t, err)
	for _, e := range entries {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") && e.Name() != "bin" {
			assert.Contains(t, rooms, e.Name(), "the folders at the top are the block diagram of the system: a new one needs a place in it, a list of what it imports, and a reason")
		}
	}
}

// The rules themselves are tested on a small graph that breaks them.
func TestRulesFindFaults(t *testing.T) {
	pkg := func(name string, imports ...string) *unit {
		for i, imp := range imports {
			if _, ok := rooms[room(imp)]; ok {
				imports[i] = module + "/" + imp
			}
		}
		return &unit{ImportPath: module + "/" + name, Imports: imports}
	}
	g := graph{}
	for _, u := range []*unit{
		pkg("packet", "encoding/binary", "golang.org/x/sys/unix"), pkg("dpdk", "packet", "C"), pkg("dataplane", "packet", "dpdk"),
		pkg("agent", "dataplane", "C"), pkg("cmd/sluice", "agent"), pkg("cmd/sluiced", "agent", "dpdk"), pkg("internal/frames", "github.com/stretchr/testify/assert"),
		pkg("policy", "internal/frames", "github.com/google/gopacket/layers"), pkg("dataplane/vmq", "dataplane", "packet"),
	} {
		g[u.ImportPath] = u
	}
	direct, reach := strings.Join(directFaults(g), "\n"), strings.Join(reachFaults(g), "\n")
	assert.Contains(t, direct, "dataplane imports dpdk: the switch runs on memory ports")
	assert.Contains(t, direct, `agent imports "C"`)
	assert.Contains(t, direct, "policy imports internal/frames")
	assert.NotContains(t, direct, "dataplane/vmq")
	assert.NotContains(t, direct, "cmd/sluice")
	assert.Contains(t, reach, "agent reaches dpdk (dataplane -> dpdk)")
	assert.Contains(t, reach, "cmd/sluice reaches dataplane (agent -> dataplane)")
	assert.NotContains(t, reach, "cmd/sluiced reaches dpdk")
	assert.NotContains(t, reach, "cmd/sluiced reaches dataplane")
	assert.Contains(t, reach, "policy reaches github.com/stretchr/testify (internal/frames -> github.com/stretchr/testify/assert)")
	assert.Contains(t, reach, "policy reaches github.com/google/gopacket")
	assert.Contains(t, reach, "packet reaches golang.org/x")
	assert.NotContains(t, reach, "internal/frames reaches")
}

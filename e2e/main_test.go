package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/sluicenet/sluice/demo/netlab"
)

// The lab of all tests; one test at a time holds it.
const (
	labPrefix = "sluice-e2e-"
	labDir    = "/run/sluice-e2e"
)

// binDir holds the programs.
var binDir string

// TestMain is also the reaper, which cleans up when a test times out or is killed.
func TestMain(m *testing.M) {
	if os.Getenv("SLUICE_E2E_REAPER") != "" {
		if err := netlab.RunReaper(labPrefix, labDir, os.Stdin); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if os.Geteuid() != 0 {
		fmt.Println("skipped: the end-to-end tests make network namespaces, which needs root")
		return 0
	}
	binDir = os.Getenv("SLUICE_BIN")
	if binDir == "" {
		dir, err := os.MkdirTemp("", "sluice-e2e-bin-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		binDir = dir
		if err := os.Chmod(dir, 0o755); err != nil { // some tests run sluiced as nobody
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		build := exec.Command("go", "build", "-o", dir+"/", "../cmd/sluiced", "../cmd/sluice", "../cmd/sluice-pktgen")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build the programs: %v\n%s", err, out)
			return 1
		}
	}
	os.Setenv("SLUICE_E2E_REAPER", "1") // for the reapers that the tests start, not for us any more
	return m.Run()
}

func program(name string) string { return filepath.Join(binDir, name) }

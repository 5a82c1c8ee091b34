package demo

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// tools are the commands that the demo runs, beside sluiced.
var tools = []string{"ping", "iperf3", "dumpcap", "tshark"}

// preflight finds out what is missing before anything is built. It returns the path of sluiced.
func preflight(o Options) (string, error) {
	if err := needRoot(); err != nil {
		return "", err
	}
	var missing []string
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			missing = append(missing, tool)
		}
	}
	if missing != nil {
		return "", fmt.Errorf("the demo needs %s: install with: make deps (or: sudo apt-get install iputils-ping iperf3 tshark)",
			strings.Join(missing, ", "))
	}
	return findSluiced(o.Sluiced)
}

func needRoot() error {
	if os.Geteuid() != 0 {
		return errors.New("the demo makes network namespaces, which needs root: run it with sudo")
	}
	return nil
}

func findSluiced(named string) (string, error) {
	if named != "" {
		path, err := exec.LookPath(named)
		if err != nil {
			return "", fmt.Errorf("sluiced given by --sluiced: %w", err)
		}
		return filepath.Abs(path)
	}
	self, err := os.Executable()
	if err == nil {
		beside := filepath.Join(filepath.Dir(self), "sluiced")
		if _, err := exec.LookPath(beside); err == nil {
			return beside, nil
		}
	}
	if path, err := exec.LookPath("sluiced"); err == nil {
		return filepath.Abs(path)
	}
	return "", fmt.Errorf("no sluiced beside %s nor in PATH: build it with `make build`, or name it with --sluiced", self)
}

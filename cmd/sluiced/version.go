package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/sluicenet/sluice/agent/control"
	"github.com/sluicenet/sluice/dpdk"
)

// version and commit are set by the linker: -X main.version=v1.2.3 -X main.commit=...
var (
	version = "devel"
	commit  = ""
)

// build says which program this is. Without the linker's word the commit comes from what Go recorded.
func build() control.Build {
	b := control.Build{Version: version, Commit: commit, Go: runtime.Version(), DPDK: dpdk.Version()}
	if info, ok := debug.ReadBuildInfo(); ok && b.Commit == "" {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				b.Commit = s.Value
			}
		}
	}
	return b
}

func buildLine() string {
	b := build()
	line := "sluiced " + b.Version
	if b.Commit != "" {
		line += " (" + b.Commit + ")"
	}
	return fmt.Sprintf("%s, %s, %s", line, b.Go, b.DPDK)
}

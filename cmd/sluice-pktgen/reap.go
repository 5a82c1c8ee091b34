package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/sluicenet/sluice/benchmarks/tcp"
	"github.com/sluicenet/sluice/benchmarks/wake"
	"github.com/sluicenet/sluice/demo/netlab"
)

// reapCommand is what this program starts to clean up behind itself, also when it is killed.
func reapCommand() *cobra.Command {
	labs := map[string]string{tcp.Prefix: tcp.Dir(), soakLab: soakDir(), wake.Prefix: wake.Dir()}
	return &cobra.Command{
		Use: "reap PREFIX", Hidden: true, Args: cobra.ExactArgs(1), Short: "Remove the network namespaces of a run when it has ended",
		RunE: func(_ *cobra.Command, args []string) error {
			dir, known := labs[args[0]]
			if !known {
				return fmt.Errorf("there are no namespaces called %s*", args[0])
			}
			return netlab.RunReaper(args[0], dir, os.Stdin)
		},
	}
}

// reaper is the command line that starts it.
func reaper(prefix string) ([]string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	return []string{self, "reap", prefix}, nil
}

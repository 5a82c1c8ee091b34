// Command sluice-pktgen makes traffic of profiles and measures the switch with it, alone and beside its peers.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// version and commit are set by the linker: -X main.version=v1.2.3 -X main.commit=...
var (
	version = "devel"
	commit  = ""
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1 // what was asked for failed, or was interrupted
	exitUsage  = 2 // the command line is wrong
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// app is one run of the command.
type app struct {
	out, err io.Writer
	began    bool // the command line was understood: later errors are not about it
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	a := &app{out: stdout, err: stderr}
	root := a.root()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	switch {
	case err == nil:
		return exitOK
	case !a.began:
		fmt.Fprintf(stderr, "sluice-pktgen: %v; see %s --help\n", err, cmd.CommandPath())
		return exitUsage
	}
	if errors.Is(err, context.Canceled) {
		err = errInterrupted
	}
	fmt.Fprintf(stderr, "sluice-pktgen: %v\n", err)
	return exitFailed
}

var errInterrupted = errors.New("interrupted")

const rootHelp = `sluice-pktgen makes traffic of profiles, and measures what a switch does with it.

A profile is the name of one that comes with the program (see sluice-pktgen profiles), or the path of a YAML file.

Exit codes:
  0  done
  1  it failed, or was interrupted: what was measured until then is kept and marked as partial
  2  the command line is wrong`

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use: "sluice-pktgen", Short: "Traffic generator and benchmarks of the sluice virtual switch", Long: rootHelp,
		SilenceErrors: true, SilenceUsage: true, Version: version,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			err := errors.Join(cmd.ValidateRequiredFlags(), cmd.ValidateFlagGroups()) // cobra looks after this hook only
			a.began = err == nil
			if dir, none := cmd.Flags().GetString("out"); a.began && none == nil && dir != "" {
				if err = os.MkdirAll(dir, 0o755); err != nil { // before anything is measured that could not be written then
					err = fmt.Errorf("folder for the result: %w (choose another by --out)", err)
				}
			}
			return err
		},
	}
	root.AddCommand(a.profilesCommand(), a.pcapCommand(), a.workerCommand(), a.spinCommand(), a.memcpyCommand(), a.compareCommand(),
		a.reportCommand())
	root.AddCommand(a.soakCommand(), a.tcpCommand(), a.scaleCommand(), a.floodCommand(), a.schedCommand())
	root.AddCommand(a.runCommand(), a.configCommand())
	return root
}

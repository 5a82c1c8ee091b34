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
	"time"

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
	exitFailed = 1 // what was asked for failed, cannot be done with these values, or was interrupted
	exitUsage  = 2 // the command line cannot be read
)

func main() {
	os.Exit(run(interruptible(os.Stderr, func() { time.Sleep(oneSignal) }), os.Args[1:], os.Stdout, os.Stderr))
}

// oneSignal is the time in which signals count as one: timeout(1) sends its own to the process, and again to its group.
const oneSignal = time.Second

// interruptible is a context that a first signal ends. Signals during pass are taken for the same one; a later one ends the
// process at once.
func interruptible(stderr io.Writer, pass func()) context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		fmt.Fprintln(stderr, "sluice-pktgen: stopping, and putting the machine back as it was; a second Ctrl-C quits at once, and may leave hugepages and folders in "+os.TempDir())
		cancel()
		pass()
		signal.Stop(signals)
	}()
	return ctx
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
  1  it failed, refused a value (no such profile, core, rate, ...), or was interrupted: what was measured until then is kept
     and marked as partial
  2  the command line cannot be read: no such command or flag, a flag that is missing, or a word where a number belongs`

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
	root.AddCommand(a.soakCommand(), a.tcpCommand(), a.scaleCommand(), a.floodCommand(), a.schedCommand(), a.wakeCommand(), a.sharesCommand(),
		a.vmqCommand(), a.vmqSimCommand(), a.qosCostCommand())
	root.AddCommand(a.runCommand(), a.configCommand(), reapCommand())
	return root
}

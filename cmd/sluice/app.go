package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"
	"github.com/spf13/viper"

	"github.com/sluicenet/sluice/api"
	"github.com/sluicenet/sluice/api/sluice/v1/sluicev1connect"
	"github.com/sluicenet/sluice/cli"
	"github.com/sluicenet/sluice/doctor"
	"github.com/sluicenet/sluice/nic"
)

// app is one run of the command: where it reads and writes, what it was told, and the host that it works on.
type app struct {
	in       io.Reader
	out, err io.Writer
	settings *viper.Viper
	printer  *cli.Printer
	daemon   sluicev1connect.SluiceServiceClient
	began    bool // the command line was understood: later errors are not about it
	cards    *nic.System
	examiner func(doctor.AskDaemon) *doctor.Host
}

func newApp(in io.Reader, out, err io.Writer) *app {
	return &app{in: in, out: out, err: err, settings: viper.New(), cards: nic.Host(), examiner: doctor.This}
}

// Settings that the environment may give as well, as SLUICE_<NAME>.
const (
	keySocket   = "socket"
	keyOutput   = "output"
	keyTimeout  = "timeout"
	keyInterval = "interval"

	envSocket = "SLUICE_SOCKET" // what viper makes of keySocket
)

// run carries out a command line and returns the exit code.
func (a *app) run(ctx context.Context, args []string) int {
	root := a.root()
	root.SetArgs(args)
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	strict(root) // behind SetOut: completion remembers where to write
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return cli.ExitOK
	}
	var alone *needsCommandError
	if errors.As(err, &alone) {
		fmt.Fprintf(a.err, "%s\nsluice: %v\n", alone.help(), err)
		return cli.ExitUsage
	}
	if !a.began {
		fmt.Fprintf(a.err, "sluice: %v; see %s --help\n", err, cmd.CommandPath())
		return cli.ExitUsage
	}
	if !errors.Is(err, cli.ErrReported) {
		fmt.Fprintf(a.err, "sluice: %s\n", describe(err))
	}
	return cli.ExitCode(err)
}

// describe leaves out the code that the API puts before its words.
func describe(err error) string {
	var down *api.UnreachableError
	var coded *connect.Error
	switch {
	case errors.As(err, &down):
		return down.Error()
	case errors.As(err, &coded):
		return coded.Message()
	case errors.Is(err, context.Canceled):
		return "interrupted"
	}
	return err.Error()
}

const rootHelp = `sluice checks and applies configurations of the virtual switch, shows what a running sluiced does, examines the
host and binds network cards to DPDK.

Commands that ask the daemon find it at --socket. Rates are measured over --interval, between two samples, and never
averaged since the start. Every command prints tables for people or, with -o json or -o yaml, data for programs.

Settings by environment: SLUICE_SOCKET, SLUICE_OUTPUT, SLUICE_TIMEOUT, SLUICE_INTERVAL; NO_COLOR for plain tables.

Exit codes:
  0  done, and what was asked about is well
  1  what was asked about is wrong (a bad configuration, a packet that would be dropped, a daemon that is not ready, a
     failure found by doctor, a failed check of demo), or the command failed
  2  the command line is wrong
  3  no daemon could be asked`

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use: "sluice", Short: "Command line of the sluice virtual switch", Long: rootHelp,
		SilenceErrors: true, SilenceUsage: true, Args: onlyCommands, RunE: showHelp,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return a.prepare(cmd) },
	}
	f := root.PersistentFlags()
	f.String(keySocket, api.DefaultSocket, "control socket of the daemon")
	f.StringP(keyOutput, "o", string(cli.FormatTable), "form of output: table, json or yaml")
	f.Duration(keyTimeout, 30*time.Second, "longest wait for an answer of the daemon")
	_ = root.RegisterFlagCompletionFunc(keyOutput, cobra.FixedCompletions([]cobra.Completion{"table", "json", "yaml"}, cobra.ShellCompDirectiveNoFileComp)) // the flag exists
	root.AddGroup(&cobra.Group{ID: "config", Title: "Configuration:"}, &cobra.Group{ID: "look", Title: "What the switch does:"},
		&cobra.Group{ID: "host", Title: "The host:"})
	add := func(group string, commands ...*cobra.Command) {
		for _, c := range commands {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add("config", a.checkCommand(), a.diffCommand(), a.applyCommand(), a.configCommand())
	add("look", a.statusCommand(), a.topCommand(), a.vportCommand(), a.uplinkCommand(), a.recordCommand(), a.neighbourCommand(), a.learnedCommand(),
		a.nexthopCommand(), a.dropsCommand(), a.qosCommand(), a.queueCommand())
	add("host", a.doctorCommand(), a.nicCommand(), a.demoCommand())
	root.AddCommand(a.versionCommand())
	return root
}

// prepare reads the settings once the command line is understood.
func (a *app) prepare(cmd *cobra.Command) error {
	a.settings.SetEnvPrefix("sluice")
	if err := a.settings.BindPFlags(cmd.Flags()); err != nil {
		return err
	}
	for _, key := range []string{keySocket, keyOutput, keyTimeout, keyInterval} {
		if err := a.settings.BindEnv(key); err != nil {
			return err
		}
	}
	if err := errors.Join(cmd.ValidateRequiredFlags(), cmd.ValidateFlagGroups()); err != nil { // cobra looks after this hook only
		return err
	}
	format, err := cli.ParseFormat(a.settings.GetString(keyOutput))
	if err != nil {
		return err
	}
	for _, key := range []string{keyTimeout, keyInterval} {
		if err := a.checkDuration(key); err != nil {
			return err
		}
	}
	if a.settings.GetDuration(keyTimeout) == 0 {
		return errors.New("timeout 0: no daemon answers in no time; give it some, like 30s")
	}
	a.printer = &cli.Printer{W: a.out, Format: format, Color: cli.ColorFits(a.out)}
	a.began = true
	return nil
}

// checkDuration refuses what the environment gives wrong; flags are checked already, but for their sign.
func (a *app) checkDuration(key string) error {
	text := a.settings.GetString(key)
	if text == "" { // the command has no such flag
		return nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return cli.Usage(fmt.Errorf("%s %q: this is no length of time; write it like 500ms, 1s or 2m", key, text))
	}
	return nil
}

// client keeps one connection for all calls.
func (a *app) client() sluicev1connect.SluiceServiceClient {
	if a.daemon == nil {
		a.daemon = api.Dial(a.settings.GetString(keySocket))
	}
	return a.daemon
}

// limit bounds one call to the daemon.
func (a *app) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, a.settings.GetDuration(keyTimeout))
}

// call asks the daemon once, within the time limit.
func call[Q, R any](ctx context.Context, a *app, method func(context.Context, *Q) (*R, error), question *Q) (*R, error) {
	ctx, cancel := a.limit(ctx)
	defer cancel()
	return method(ctx, question)
}

// showHelp is what the command by itself does.
func showHelp(cmd *cobra.Command, _ []string) error { return cmd.Help() }

// needsCommandError is a command that only holds others, without one of them, or with one that it does not have.
type needsCommandError struct {
	cmd  *cobra.Command
	what string
}

func (e *needsCommandError) Error() string { return e.what }

func (e *needsCommandError) help() string {
	return strings.TrimSpace(e.cmd.Short) + ".\n\n" + e.cmd.UsageString()
}

func needCommand(cmd *cobra.Command, _ []string) error {
	var names []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	return &needsCommandError{cmd, fmt.Sprintf("%s does nothing by itself; add %s", cmd.CommandPath(), strings.Join(names, " or "))}
}

// knownTopic refuses what is no command of cmd, with the help of cmd.
func knownTopic(cmd *cobra.Command, args []string) error {
	if err := onlyCommands(cmd, args); err != nil {
		return &needsCommandError{cmd, err.Error()}
	}
	return nil
}

// group is a command that only holds others.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	g := &cobra.Command{Use: use, Short: short, Args: onlyCommands, RunE: needCommand}
	g.AddCommand(commands...)
	return g
}

// strict makes the commands that cobra adds refuse what they do not know, as all others do.
func strict(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		switch c.Name() {
		case "completion":
			c.Args, c.RunE = knownTopic, needCommand
		case "help":
			c.Args = func(_ *cobra.Command, args []string) error {
				topic, rest, err := root.Find(args)
				if err != nil {
					return err
				}
				return knownTopic(topic, rest)
			}
		}
	}
}

// onlyCommands refuses what is no command, and names the ones that may be meant.
func onlyCommands(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	const typos = 2
	cmd.SuggestionsMinimumDistance = typos
	meant := ""
	if similar := cmd.SuggestionsFor(args[0]); len(similar) > 0 {
		meant = "; is it " + strings.Join(similar, " or ") + "?"
	}
	return fmt.Errorf("%s has no command %q%s", cmd.CommandPath(), args[0], meant)
}

const watchFlag = "watch"

// withRates gives a command the flags of show.
func withRates(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().Duration(keyInterval, time.Second, "window that rates are measured over; 0 shows totals at once")
	cmd.Flags().BoolP(watchFlag, "w", false, "show it again every interval until interrupted")
	return cmd
}

// show asks for two samples and prints them, once or, with --watch, until interrupted.
func show[T any](cmd *cobra.Command, a *app, ask func(context.Context) (*T, error), view func(before, now *T) (cli.View, error)) error {
	interval := a.settings.GetDuration(keyInterval)
	watch, err := cmd.Flags().GetBool(watchFlag)
	if err != nil {
		return err
	}
	if watch && interval == 0 {
		return cli.Usage(errors.New("--watch needs an interval above 0; leave out --interval 0"))
	}
	return sampleAndShow(cmd.Context(), a, watch, ask, view)
}

// sampleAndShow prints a window, or with watch each that follows, until interrupted.
func sampleAndShow[T any](ctx context.Context, a *app, watch bool, ask func(context.Context) (*T, error), view func(before, now *T) (cli.View, error)) error {
	interval := a.settings.GetDuration(keyInterval)
	inPlace := watch && a.printer.Format == cli.FormatTable && cli.IsTerminal(a.out)
	before, now, err := cli.Sample(ctx, interval, ask)
	for {
		if watch && errors.Is(err, context.Canceled) {
			return nil // this is how one ends it
		}
		if err != nil {
			return err
		}
		v, err := view(before, now)
		if err != nil {
			return err
		}
		if inPlace {
			err = a.printer.Refresh(v, cli.Height(a.out))
		} else {
			err = a.printer.Print(v)
		}
		if err != nil || !watch {
			return err
		}
		before = now
		if err = cli.Pause(ctx, interval); err == nil {
			now, err = ask(ctx)
		}
		if errors.Is(err, context.Canceled) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

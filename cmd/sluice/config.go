package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/sluicenet/sluice/api"
	sluicev1 "github.com/sluicenet/sluice/api/sluice/v1"
	"github.com/sluicenet/sluice/cli"
	"github.com/sluicenet/sluice/policy"
)

func (a *app) checkCommand() *cobra.Command {
	return &cobra.Command{
		Use: "check FILE", Short: "Check a configuration file, without a daemon", Args: cobra.ExactArgs(1),
		Long: `Check a configuration file ("-": standard input) for mistakes and for what is doubtful. No daemon is needed, and the
host is not looked at: that is what "sluice doctor FILE" does. The exit code is 1 when there is a mistake.`,
		Example: "  sluice check /etc/sluice/host.yaml\n  sluice check -o json host-a.yaml | jq .problems",
		RunE: func(_ *cobra.Command, args []string) error {
			name, data, err := a.readConfig(args[0])
			if err != nil {
				return err
			}
			_, verdict, err := parse(name, data)
			return errors.Join(err, a.verdict(verdict))
		},
	}
}

// parse checks a configuration and puts the outcome into a view. config is nil for a bad one.
func parse(name string, data []byte) (*policy.Config, *cli.Check, error) {
	verdict := &cli.Check{File: name, Problems: []cli.Problem{}, Warnings: []cli.Problem{}}
	config, err := policy.Parse(name, data)
	var bad *policy.Errors
	switch {
	case errors.As(err, &bad):
		verdict.Problems = cli.NewProblems(bad.Problems)
		return nil, verdict, nil
	case err != nil:
		return nil, verdict, err
	}
	verdict.OK, verdict.Contents = true, cli.Contents(config)
	verdict.Warnings = cli.NewProblems(config.Warnings())
	return config, verdict, nil
}

// verdict prints a check and gives it its exit code.
func (a *app) verdict(c *cli.Check) error {
	if err := a.printer.Print(c); err != nil {
		return err
	}
	if !c.OK {
		return cli.ErrReported
	}
	return nil
}

// readConfig reads a configuration file, or for "-" standard input.
func (a *app) readConfig(file string) (name string, data []byte, err error) {
	if file == "-" {
		data, err = io.ReadAll(a.in)
		return "standard input", data, err
	}
	data, err = os.ReadFile(file)
	if err != nil {
		return "", nil, fmt.Errorf("configuration: %w; name a file that exists and that you may read", err)
	}
	return file, data, nil
}

const exitCodeFlag = "exit-code"

func (a *app) diffCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "diff FILE", Short: "Show what apply would change", Args: cobra.ExactArgs(1),
		Long: `Show what the running daemon would change to get from its configuration to that of the file ("-": standard input):
"+" what is added, "-" what is removed, "~" what is modified. Nothing is changed.`,
		Example: "  sluice diff /etc/sluice/host.yaml\n  sluice diff --exit-code host-a.yaml || echo differs",
		RunE: func(cmd *cobra.Command, args []string) error {
			differs, err := a.send(cmd, args[0], true)
			if fail, _ := cmd.Flags().GetBool(exitCodeFlag); err == nil && fail && differs { // the flag exists
				return cli.ErrReported
			}
			return err
		},
	}
	cmd.Flags().Bool(exitCodeFlag, false, "exit with 1 when there are differences")
	return cmd
}

func (a *app) applyCommand() *cobra.Command {
	return &cobra.Command{
		Use: "apply FILE", Short: "Make a configuration the running one", Args: cobra.ExactArgs(1),
		Long: `Make a configuration file ("-": standard input) the running one. Ports that it does not change keep running undisturbed. A
configuration with a mistake changes nothing.

The daemon does not write the file: to keep it over a restart, it must be the one that sluiced is started with.`,
		Example: "  sluice apply /etc/sluice/host.yaml\n  sluice apply - < host-a.yaml",
		RunE: func(cmd *cobra.Command, args []string) error {
			_, err := a.send(cmd, args[0], false)
			return err
		},
	}
}

// send gives a configuration to the daemon and prints its answer.
func (a *app) send(cmd *cobra.Command, file string, dryRun bool) (differs bool, err error) {
	name, data, err := a.readConfig(file)
	if err != nil {
		return false, err
	}
	sent := name
	if file != "-" {
		if sent, err = filepath.Abs(file); err != nil { // the daemon shows it to others, in other folders
			return false, err
		}
	}
	question := &sluicev1.ApplyRequest{Yaml: data, File: sent, DryRun: dryRun}
	answer, err := call(cmd.Context(), a, a.client().Apply, question)
	if problems := api.ProblemsOf(err); problems != nil {
		rename(problems, sent, name)
		return false, a.verdict(&cli.Check{File: name, Problems: cli.NewRemoteProblems(problems), Warnings: []cli.Problem{}})
	}
	if err != nil {
		return false, err
	}
	rename(answer.GetWarnings(), sent, name)
	return len(answer.GetChanges()) > 0, a.printer.Print(cli.NewPlan(name, !dryRun, answer))
}

// rename calls the file in problems what the user called it.
func rename(problems []*sluicev1.Problem, from, to string) {
	for _, p := range problems {
		if p.GetFile() == from {
			p.File = to
		}
	}
}

func (a *app) configCommand() *cobra.Command {
	return group("config", "The configuration that runs", &cobra.Command{
		Use: "show", Short: "Print the configuration that runs", Args: cobra.NoArgs,
		Long:    "Print the YAML of the configuration that the daemon runs, as it was applied.",
		Example: "  sluice config show > running.yaml\n  sluice config show -o json | jq .revision",
		RunE: func(cmd *cobra.Command, _ []string) error {
			answer, err := call(cmd.Context(), a, a.client().GetConfig, &sluicev1.GetConfigRequest{})
			if err != nil {
				return err
			}
			return a.printer.Print(cli.NewConfig(answer))
		},
	})
}

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/sluicenet/sluice/api"
	sluicev1 "github.com/sluicenet/sluice/api/sluice/v1"
	"github.com/sluicenet/sluice/cli"
	"github.com/sluicenet/sluice/doctor"
	"github.com/sluicenet/sluice/nic"
	"github.com/sluicenet/sluice/policy"
)

func (a *app) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use: "doctor [FILE]", Short: "Examine the host, and say what mends it", Args: cobra.MaximumNArgs(1),
		Long: `Examine the host: cores, NUMA, hugepages, IOMMU, DPDK, network cards, taps; and with a configuration file its
interfaces, MTUs, provider addresses and namespaces too. Without a file the configuration of the running daemon is taken,
if there is one; with one, the daemon is asked at the socket that the file names. Every finding that is not well comes with the command that mends it. Nothing is changed. The exit code is
1 when something will fail.`,
		Example: "  sudo sluice doctor\n  sudo sluice doctor /etc/sluice/host.yaml",
		RunE: func(cmd *cobra.Command, args []string) error {
			var config *policy.Config
			if len(args) > 0 {
				name, data, err := a.readConfig(args[0])
				if err != nil {
					return err
				}
				var verdict *cli.Check
				if config, verdict, err = parse(name, data); err != nil || !verdict.OK {
					return errors.Join(err, a.verdict(verdict))
				}
				if !cmd.Flags().Changed(keySocket) && os.Getenv(envSocket) == "" {
					a.settings.Set(keySocket, config.Daemon.Socket)
				}
			} else {
				config = a.runningConfig(cmd.Context())
			}
			findings, err := a.examiner(a.describeDaemon).Examine(cmd.Context(), config)
			if err != nil {
				return err
			}
			worst := doctor.Worst(findings)
			if err := a.printer.Print(&cli.Examination{Verdict: worst, Findings: findings}); err != nil {
				return err
			}
			if worst == doctor.Fail {
				return cli.ErrReported
			}
			return nil
		},
	}
}

// runningConfig is that of the daemon, nil without one.
func (a *app) runningConfig(ctx context.Context) *policy.Config {
	answer, err := call(ctx, a, a.client().GetConfig, &sluicev1.GetConfigRequest{})
	if err != nil {
		return nil
	}
	config, _ := policy.Parse(answer.GetFile(), answer.GetYaml()) // a daemon of another version may know other keys
	return config
}

// describeDaemon asks the running one for what the doctor reports of it.
func (a *app) describeDaemon(ctx context.Context) (doctor.Running, error) {
	st, err := call(ctx, a, a.client().GetStatus, &sluicev1.GetStatusRequest{})
	var down *api.UnreachableError
	switch {
	case errors.As(err, &down):
		return doctor.Running{}, fmt.Errorf("sluiced does not run: %s: %s", down.Socket, down.What)
	case err != nil:
		return doctor.Running{}, errors.New(describe(err))
	case !st.GetReady():
		return doctor.Running{}, fmt.Errorf("sluiced (pid %d) is not ready: %s", st.GetPid(), st.GetNotReadyReason())
	}
	return doctor.Running{PID: int(st.GetPid()), Description: fmt.Sprintf("sluiced %s (pid %d) runs revision %d of %s",
		st.GetVersion(), st.GetPid(), st.GetRevision(), st.GetConfigFile())}, nil
}

func (a *app) nicCommand() *cobra.Command {
	list := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List the network cards and who has them", Args: cobra.NoArgs,
		Long: `List the PCI network cards: who has them (the kernel, DPDK, or both at once where DPDK uses a card beside its kernel
driver), where they sit, and why a card is not to be taken. The name is the kernel's, also while the card has no interface.`,
		Example: "  sluice nic list\n  sluice nic list -o json",
		RunE: func(*cobra.Command, []string) error {
			cards, err := a.cards.List()
			if err != nil {
				return err
			}
			if cards == nil {
				cards = []nic.Card{}
			}
			return a.printer.Print(&cli.Cards{Cards: cards})
		},
	}
	bind := &cobra.Command{
		Use: "bind CARD", Short: "Hand a network card to DPDK", Args: cobra.ExactArgs(1), ValidArgsFunction: a.complete(a.cardNames),
		Long: `Take a network card from the kernel and hand it to DPDK. CARD is a PCI address, a MAC or an interface name; the name still
finds the card when its interface is gone. What it was is remembered below ` + nic.DefaultStateDir + `, for unbind.

A card is refused that carries the default route or your session, belongs to a bond or bridge, or has virtual functions.
The binding lasts until unbind or a reboot.`,
		Example: "  sudo sluice nic bind enp3s0f0\n  sudo sluice nic bind 0000:03:00.0 --dry-run\n  sudo sluice nic bind a0:36:9f:00:00:01 --driver uio_pci_generic",
	}
	unbind := &cobra.Command{
		Use: "unbind CARD", Short: "Give a network card back to the kernel", Args: cobra.ExactArgs(1), ValidArgsFunction: a.complete(a.cardNames),
		Long: `Give a network card back to the kernel driver that it had; its interface comes back. CARD is a PCI address, a MAC or the
name of the interface that it had. A card that a process uses is refused: stop sluiced first.`,
		Example: "  sudo sluice nic unbind enp3s0f0",
	}
	for cmd, act := range map[*cobra.Command]func(string, nic.Options) (*nic.Result, error){bind: a.cards.Bind, unbind: a.cards.Unbind} {
		var o nic.Options
		cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "show the commands, run none")
		cmd.Flags().BoolVar(&o.Force, "force", false, "despite what speaks against it")
		if cmd == bind {
			cmd.Flags().StringVar(&o.Driver, "driver", nic.DefaultDriver, "driver for DPDK: vfio-pci, uio_pci_generic or igb_uio")
		}
		cmd.RunE = func(_ *cobra.Command, args []string) error {
			result, err := act(args[0], o)
			if err != nil {
				return err
			}
			return a.printer.Print(&cli.Binding{Result: result, DryRun: o.DryRun})
		}
	}
	return group("nic", "Network cards: the kernel's or DPDK's", list, bind, unbind)
}

func (a *app) cardNames(context.Context) (names []cobra.Completion, err error) {
	cards, err := a.cards.List()
	for _, c := range cards {
		names = append(names, cobra.CompletionWithDesc(c.Name, c.PCI+" "+c.Model))
	}
	return names, err
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Versions of this command and of the daemon", Args: cobra.NoArgs,
		Long:    "Show the versions of this command and of the daemon, when one runs.",
		Example: "  sluice version\n  sluice version -o json | jq -r .client.version",
		RunE: func(cmd *cobra.Command, _ []string) error {
			v := &cli.Versions{Client: cli.Build{Version: version, Commit: sourceCommit(), Go: runtime.Version()}}
			answer, err := call(cmd.Context(), a, a.client().GetVersion, &sluicev1.GetVersionRequest{})
			var down *api.UnreachableError
			switch {
			case errors.As(err, &down):
				v.DaemonError = "not reachable at " + down.Socket + ": " + down.What
			case err != nil:
				v.DaemonError = describe(err)
			default:
				v.Daemon = cli.NewBuild(answer)
			}
			return a.printer.Print(v)
		},
	}
}

// sourceCommit is the linker's word, else what Go recorded of the source.
func sourceCommit() string {
	if info, ok := debug.ReadBuildInfo(); ok && commit == "" {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				return s.Value
			}
		}
	}
	return commit
}

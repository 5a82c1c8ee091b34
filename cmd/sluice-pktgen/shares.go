package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/sluicenet/sluice/benchmarks/machine"
	"github.com/sluicenet/sluice/benchmarks/profile"
	"github.com/sluicenet/sluice/benchmarks/report"
	"github.com/sluicenet/sluice/benchmarks/result"
	"github.com/sluicenet/sluice/benchmarks/shares"
)

// sharesFlags are the flags of the shares command.
type sharesFlags struct {
	profiles []string
	out      string
	pictures bool
	core     int
}

func (a *app) sharesCommand() *cobra.Command {
	var o sharesFlags
	cmd := &cobra.Command{
		Use: "shares", Short: "Show what the streams of a qos profile get, beside an ideal, with pictures over time", Args: cobra.NoArgs,
		Long: `Run the streams of a qos profile through a real worker, flow table, classification and scheduler, under the policy that the
profile gives them, and compare what each gets with an ideal fluid. Time is counted by the worker's turns, not by the
machine: a run gives the same figures on a slow machine and beside other programs, needs neither root nor devices, and says
nothing of speed. With --out DIR the result is kept as JSON, its windows of 10 ms as CSV, and the shares over time as SVG and
PNG. Ctrl-C keeps what was measured until then, marked as partial.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.shares(cmd.Context(), o) },
	}
	f := cmd.Flags()
	f.StringSliceVar(&o.profiles, "profile", profile.SharesNames(), "qos profiles: names, or paths of files")
	f.StringVarP(&o.out, "out", "o", "", "folder for results and pictures")
	f.BoolVar(&o.pictures, "pictures", true, "write CSV, SVG and PNG into the folder, not JSON alone")
	f.IntVar(&o.core, "core", -1, "core of the worker; -1 leaves it to the kernel")
	return cmd
}

func (a *app) shares(ctx context.Context, o sharesFlags) error {
	if o.core != -1 {
		if err := machine.CheckCore(o.core); err != nil {
			return err
		}
	}
	var all []*profile.Shares
	for _, name := range o.profiles {
		p, err := profile.LoadShares(name)
		if err != nil {
			return err
		}
		all = append(all, p)
	}
	for i, p := range all {
		if i > 0 {
			fmt.Fprintln(a.out)
		}
		r, err := shares.Run(ctx, shares.Spec{Profile: p, Core: o.core, Log: slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: slog.LevelWarn})),
			Progress: func(variant string) { fmt.Fprintf(a.err, "%s: %s\n", p.Name, variant) }})
		if r == nil {
			return err
		}
		r.Manifest = a.manifest(max(o.core, 0))
		r.Print(a.out)
		if err = errors.Join(err, o.keep(r)); err != nil {
			return err
		}
	}
	return nil
}

// keep writes a result into the folder, and what is made of it.
func (o *sharesFlags) keep(r *shares.Result) error {
	if o.out == "" || len(r.Variants) == 0 {
		return nil
	}
	files := map[string][]byte{}
	if o.pictures {
		var err error
		if files, err = report.SharesPictures(r); err != nil {
			return err
		}
		files[r.Profile+".csv"] = r.CSV()
	}
	for name, text := range files {
		if err := result.Replace(filepath.Join(o.out, name), text); err != nil {
			return err
		}
	}
	return result.WriteJSON(filepath.Join(o.out, shares.FileName(r.Profile)), r)
}

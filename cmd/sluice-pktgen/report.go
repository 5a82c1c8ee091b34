package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/sluicenet/sluice/benchmarks/compare"
	"github.com/sluicenet/sluice/benchmarks/report"
)

func (a *app) reportCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use: "report RESULT", Short: "Write a result as a page", Args: cobra.ExactArgs(1),
		Long: "Write a result of compare, or of worker, as a page of Markdown: docs/PERFORMANCE.md is made by this.",
		RunE: func(_ *cobra.Command, args []string) error {
			r, err := compare.ReadJSON(args[0])
			if err != nil {
				return err
			}
			page := report.Markdown(r, args[0])
			if file == "" || file == "-" {
				_, err = a.out.Write(page)
			} else {
				err = os.WriteFile(file, page, 0o644)
			}
			if err != nil {
				return fmt.Errorf("write report: %w", err)
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&file, "write", "w", "", "file to write; standard output if left out")
	return cmd
}

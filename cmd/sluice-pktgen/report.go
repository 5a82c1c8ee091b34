package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sluicenet/sluice/benchmarks/report"
)

// Formats of the report command.
const (
	formatPage  = "page"
	formatSVG   = "svg"
	formatPNG   = "png"
	formatBench = "benchfmt"
)

var formats = []string{formatPage, formatSVG, formatPNG, formatBench}

func (a *app) reportCommand() *cobra.Command {
	var file, format string
	cmd := &cobra.Command{
		Use: "report RESULT", Short: "Write a result as a page, a chart, or for benchstat", Args: cobra.ExactArgs(1),
		Long: `Write a result of compare, or of worker:

  page      Markdown; docs/PERFORMANCE.md is made by this. With -w FILE its charts are written too, to img beside FILE.
  svg, png  the chart by itself
  benchfmt  as Go's benchmarks are written, a line for each sample, for benchstat`,
		RunE: func(_ *cobra.Command, args []string) error {
			if !slices.Contains(formats, format) {
				return fmt.Errorf("there is no format %q: there are %s", format, strings.Join(formats, ", "))
			}
			e, err := report.Read(args[0])
			if err != nil {
				return err
			}
			toFile := file != "" && file != "-"
			if format == formatPage && toFile {
				return report.WritePage(e, args[0], file)
			}
			text, err := render(e, args[0], format)
			if err != nil {
				return err
			}
			if toFile {
				err = os.WriteFile(file, text, 0o644)
			} else {
				_, err = a.out.Write(text)
			}
			if err != nil {
				return fmt.Errorf("write report: %w", err)
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&file, "write", "w", "", "file to write; standard output if left out")
	cmd.Flags().StringVarP(&format, "format", "f", formatPage, strings.Join(formats, ", "))
	return cmd
}

func render(e *report.Evidence, source, format string) ([]byte, error) {
	if format == formatBench {
		return report.BenchFormat(e.Compare)
	}
	if format == formatPage {
		files, err := report.Page(e, source, formatPage)
		return files[formatPage], err
	}
	chart, err := report.NewChart(e.Compare)
	if err != nil {
		return nil, err
	}
	if format == formatSVG {
		return chart.SVG()
	}
	return chart.PNG()
}

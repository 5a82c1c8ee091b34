package report

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// chartName is where the chart lies beside the page, without its ending.
const chartName = "img/performance"

// Page gives the page under the name that it is to have, and what it links to beside it: the chart as a picture and as a
// vector graphic. source names the file that the result came from.
func Page(e *Evidence, source, name string) (map[string][]byte, error) {
	chart, err := NewChart(e.Compare)
	if err != nil {
		return nil, err
	}
	png, pngErr := chart.PNG()
	svg, svgErr := chart.SVG()
	if err := errors.Join(pngErr, svgErr); err != nil {
		return nil, err
	}
	return map[string][]byte{
		name:               Markdown(e, source, chartName+".png"),
		chartName + ".png": png,
		chartName + ".svg": svg,
	}, nil
}

// WritePage writes the page to a file, and its pictures beside it.
func WritePage(e *Evidence, source, file string) error {
	dir, name := filepath.Split(file)
	files, err := Page(e, source, name)
	if err != nil {
		return err
	}
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return fmt.Errorf("write page: %w", err)
		}
		if err := os.WriteFile(path, text, 0o644); err != nil {
			return fmt.Errorf("write page: %w", err)
		}
	}
	return nil
}

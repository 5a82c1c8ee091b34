package report

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/sluicenet/sluice/benchmarks/compare"
)

// Names of the charts beside the page, without their endings. The summary is for the project's first page.
const (
	chartName   = "img/performance"
	summaryName = "img/performance-summary"
)

// Page gives the page under the name that it is to have, and its charts beside it, each as a picture and as a vector
// graphic. source names the file that the result came from.
func Page(e *Evidence, source, name string) (map[string][]byte, error) {
	files := map[string][]byte{}
	for name, layOut := range map[string]func(*compare.Result) (*Chart, error){chartName: NewChart, summaryName: NewSummary} {
		chart, err := layOut(e.Compare)
		if err != nil {
			return nil, err
		}
		png, pngErr := chart.PNG()
		svg, svgErr := chart.SVG()
		if err := errors.Join(pngErr, svgErr); err != nil {
			return nil, err
		}
		files[name+".png"], files[name+".svg"] = png, svg
	}
	for _, r := range e.Shares {
		if len(r.Variants) == 0 {
			continue
		}
		pictures, err := SharesPictures(r)
		if err != nil {
			return nil, err
		}
		for name, picture := range pictures {
			files["img/"+name] = picture
		}
	}
	if e.Queues != nil {
		pictures, err := queuesPictures(e.Queues)
		if err != nil {
			return nil, err
		}
		for name, picture := range pictures {
			files["img/"+name] = picture
		}
	}
	files[name] = Markdown(e, source, chartName+".png")
	return files, nil
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

package report

import (
	"github.com/sluicenet/sluice/benchmarks/compare"
)

// Evidence is all that the page is written from.
type Evidence struct {
	Compare *compare.Result
}

// Read reads a result of compare, and what other measurements have left beside it.
func Read(file string) (*Evidence, error) {
	r, err := compare.ReadJSON(file)
	if err != nil {
		return nil, err
	}
	return &Evidence{Compare: r}, nil
}

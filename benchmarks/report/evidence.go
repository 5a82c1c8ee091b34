package report

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/sluicenet/sluice/benchmarks/compare"
	"github.com/sluicenet/sluice/benchmarks/soak"
)

// Evidence is all that the page is written from: the comparison, and what other measurements have left beside it. What was
// not measured is nil.
type Evidence struct {
	Compare *compare.Result
	Soak    *soak.Result
}

// Read reads a result of compare, and the other results in its folder. One that is there and cannot be read is an error: a
// page without it would say that it was not measured.
func Read(file string) (*Evidence, error) {
	r, err := compare.ReadJSON(file)
	if err != nil {
		return nil, err
	}
	e := &Evidence{Compare: r}
	if e.Soak, err = optional(file, soak.FileName, soak.ReadJSON); err != nil {
		return nil, err
	}
	if e.Soak != nil && e.Soak.Took == 0 {
		return nil, fmt.Errorf("read %s: there is no soak in it: take it away, or run sluice-pktgen soak again", filepath.Join(filepath.Dir(file), soak.FileName))
	}
	return e, nil
}

// optional reads a result beside another one, nil if there is none.
func optional[T any](beside, name string, read func(string) (*T, error)) (*T, error) {
	r, err := read(filepath.Join(filepath.Dir(beside), name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return r, err
}

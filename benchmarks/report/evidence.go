package report

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/sluicenet/sluice/benchmarks/compare"
	"github.com/sluicenet/sluice/benchmarks/flood"
	"github.com/sluicenet/sluice/benchmarks/generator"
	"github.com/sluicenet/sluice/benchmarks/scale"
	"github.com/sluicenet/sluice/benchmarks/schedpeer"
	"github.com/sluicenet/sluice/benchmarks/shaped"
	"github.com/sluicenet/sluice/benchmarks/shares"
	"github.com/sluicenet/sluice/benchmarks/soak"
	"github.com/sluicenet/sluice/benchmarks/tcp"
	"github.com/sluicenet/sluice/benchmarks/vmq"
)

// Evidence is all that the page is written from: the comparison, and what other measurements have left beside it. What was
// not measured is nil.
type Evidence struct {
	Compare *compare.Result
	Flood   *flood.Result
	Latency *generator.Document
	Queues  *vmq.Result
	Rates   *generator.Document
	Scale   *scale.Result
	Sched   *schedpeer.Result
	Cost    *shaped.Result   // of quality of service
	Shares  []*shares.Result // of the qos profiles, in the order of their names
	Soak    *soak.Result
	TCP     *tcp.Result
}

// Read reads a result of compare, and the other results in its folder. One that is there and cannot be read is an error: a
// page without it would say that it was not measured.
func Read(file string) (*Evidence, error) {
	r, err := compare.ReadJSON(file)
	if err != nil {
		return nil, err
	}
	e := &Evidence{Compare: r}
	var floodErr, latencyErr, ratesErr, scaleErr, soakErr, tcpErr error
	e.Flood, floodErr = optional(file, floodFile, flood.ReadJSON, func(r *flood.Result) bool { return len(r.KnownCycles) > 0 || r.Partial != "" })
	e.Latency, latencyErr = optional(file, latencyFile, readDocument, func(d *generator.Document) bool { return d.Result != nil || d.Partial != "" })
	e.Rates, ratesErr = optional(file, ratesFile, readDocument, func(d *generator.Document) bool { return d.Search != nil || d.Partial != "" })
	e.Scale, scaleErr = optional(file, scale.FileName, scale.ReadJSON, func(r *scale.Result) bool { return len(r.Scenarios) > 0 || r.Partial })
	e.Soak, soakErr = optional(file, soak.FileName, soak.ReadJSON, func(r *soak.Result) bool { return r.Took > 0 || r.Partial })
	e.TCP, tcpErr = optional(file, tcp.FileName, tcp.ReadJSON, func(r *tcp.Result) bool { return len(r.Samples) > 0 || r.Partial })
	var queuesErr, schedErr, costErr, sharesErr error
	e.Queues, queuesErr = optional(file, vmq.FileName, vmq.ReadJSON, func(r *vmq.Result) bool { return len(r.Scenarios) > 0 || r.Partial })
	e.Sched, schedErr = optional(file, schedpeer.FileName, schedpeer.ReadJSON, func(r *schedpeer.Result) bool { return len(r.Drained.DPDK) > 0 || r.Partial != "" })
	e.Cost, costErr = optional(file, costFile, shaped.ReadJSON, func(r *shaped.Result) bool { return r.Rounds > 0 || r.Partial != "" })
	e.Shares, sharesErr = readShares(file)
	return e, errors.Join(floodErr, latencyErr, ratesErr, scaleErr, soakErr, tcpErr, queuesErr, schedErr, costErr, sharesErr)
}

// optional reads a result beside another one, nil if there is none. holds reports whether something was measured, or
// why it was not: then the page says so.
func optional[T any](beside, name string, read func(string) (*T, error), holds func(*T) bool) (*T, error) {
	file := filepath.Join(filepath.Dir(beside), name)
	r, err := read(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err == nil && !holds(r):
		return nil, fmt.Errorf("read result %s: nothing was measured in it: measure again, or take it away", file)
	}
	return r, err
}

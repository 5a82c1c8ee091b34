package worker

import (
	"slices"

	"github.com/sluicenet/sluice/benchmarks/traffic"
	"github.com/sluicenet/sluice/dataplane"
)

// Second is a further worker beside the first one. The sources are spread over the workers, a queue each; the uplink, and
// every other sink, has a queue for each worker. Turns are told of the first worker alone, rates of all.
type Second struct {
	Poller dataplane.Poller
	Core   int // -1: wherever
}

// addBeside starts the further workers.
func (r *run) addBeside() error {
	for i, s := range r.Beside {
		f := newFabric(s.Poller, r.Plan, r.Devices[traffic.Uplink], r.TSCHz)
		if _, err := r.sw.AddWorker(dataplane.WorkerSpec{Core: s.Core, Poller: f}); err != nil {
			return r.closeBeside(i, err)
		}
		r.fabrics = append(r.fabrics, f)
	}
	return nil
}

// closeBeside closes the pollers from the i-th on: no worker does.
func (r *run) closeBeside(i int, why error) error {
	for _, s := range r.Beside[i:] {
		s.Poller.Close()
	}
	return why
}

// queues are those of a port with a device. A source has one, since a replay has.
func (r *run) queues(port string) (rx, tx int) {
	rx, tx = 1, 1
	if slices.Contains(r.Plan.Sinks, port) {
		tx += len(r.Beside)
	}
	if port == traffic.Uplink && !slices.Contains(r.Plan.Sources, port) {
		rx += len(r.Beside) // by which each worker hears the fabric
	}
	return rx, tx
}

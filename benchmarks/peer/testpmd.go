package peer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"

	"github.com/sluicenet/sluice/benchmarks/compare"
	"github.com/sluicenet/sluice/benchmarks/measure"
	"github.com/sluicenet/sluice/benchmarks/profile"
	"github.com/sluicenet/sluice/benchmarks/traffic"
)

// Testpmd is DPDK's own test program. In io mode it moves packets from one device to the other without looking at them:
// nothing on these devices can be faster. In macswap mode it writes to each of them.
type Testpmd struct {
	Mode string
	Only func(*profile.Profile) bool // the profiles for which it makes sense; nil: all
}

// Takes implements compare.Chooser.
func (t Testpmd) Takes(p *profile.Profile) bool { return t.Only == nil || t.Only(p) }

// How results call it.
const (
	TestpmdName        = "testpmd-io"
	TestpmdMACSwapName = "testpmd-macswap"
)

const testpmdProgram = "dpdk-testpmd"

// Name implements compare.Contender.
func (t Testpmd) Name() string { return "testpmd-" + t.Mode }

// Available implements compare.Contender.
func (Testpmd) Available() error {
	if _, err := exec.LookPath(testpmdProgram); err != nil {
		return fmt.Errorf("%s is not installed (Debian: apt-get install dpdk-dev)", testpmdProgram)
	}
	return needRoot()
}

func needRoot() error {
	if os.Geteuid() != 0 {
		return errors.New("it needs root: for hugepages, and for its sockets in /var/run/dpdk")
	}
	return nil
}

// Run implements compare.Contender.
func (t Testpmd) Run(ctx context.Context, job compare.Job) (measure.Sample, error) {
	prefix := filePrefix(t.Name())
	defer forget(prefix)
	args, w := testpmdArgs(job, prefix, t.Mode)
	p, err := start(t.Name(), job.Dir, options{}, append([]string{testpmdProgram}, args...)...)
	if err != nil {
		return measure.Sample{}, err
	}
	defer p.stop()
	return measureDPDK(ctx, job, prefix, w, nil, p)
}

const (
	testpmdBuffers = 16384 // beside the replays
	bufferBytes    = 2176 + 128 + 64 + 128
	dpdkSlackMB    = 64
)

// testpmdArgs pairs each replay with a sink: ports 0 and 1, 2 and 3, and so on.
func testpmdArgs(job compare.Job, prefix, mode string) ([]string, wiring) {
	buffers := testpmdBuffers + frames(job.Plan)
	args := []string{"-l", fmt.Sprintf("%d,%d", job.ControlCore, job.Core), "--main-lcore=" + strconv.Itoa(job.ControlCore),
		"--in-memory", "--no-pci", "--file-prefix=" + prefix, "-m", strconv.Itoa(buffers*bufferBytes>>20 + dpdkSlackMB)}
	// As many sinks as replays, however many ports the plan's traffic ends at.
	paired := traffic.Plan{Sources: job.Plan.Sources}
	for i := range job.Plan.Sources {
		paired.Sinks = append(paired.Sinks, "sink"+strconv.Itoa(i))
	}
	w := wire(&paired, job.Files)
	for i := range paired.Sources {
		args = append(args, "--vdev="+w.devargs[paired.Sources[i]], "--vdev="+w.devargs[paired.Sinks[i]])
	}
	return append(args, "--", "--forward-mode="+mode, "--nb-cores=1", "--auto-start", "--total-num-mbufs="+strconv.Itoa(buffers)), w
}

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/sluicenet/sluice/benchmarks/machine"
	"github.com/sluicenet/sluice/benchmarks/traffic"
	"github.com/sluicenet/sluice/dpdk"
	"github.com/sluicenet/sluice/packet"
)

// devices are DPDK with a replay for every source of a plan and a sink for every other port.
type devices struct {
	pages   *machine.Hugepages
	memory  dpdk.Memory
	pool    *dpdk.Mempool
	poller  *dpdk.Poller
	open    []*dpdk.Device
	handles map[string]uint32 // by port
	prefix  string
	dir     string // of the pcaps
}

const (
	frameRoom = traffic.UplinkMTU + 14 + 8 // Ethernet and two VLAN tags around the largest IP packet
	// One worker: what a poll received, what it sends, its spares, what waits for a next hop, and its thread's cache;
	// then the cache of the thread that fills the replays.
	workerPackets = packet.MaxRx + packet.MaxTx + packet.MaxSpares + 64 + 2*512*3/2
	slackMB       = 64 // DPDK's own structures
)

// openDevices starts DPDK on the given core, for a number of workers of which each has queues of its own at the sinks. On
// an error nothing is left open.
func openDevices(plan *traffic.Plan, mainCore, workers int) (d *devices, err error) {
	d = &devices{handles: map[string]uint32{}, prefix: fmt.Sprintf("sluice-pktgen-%d", os.Getpid())}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.close())
		}
	}()
	packets := workers * workerPackets
	for _, source := range plan.Sources {
		packets += plan.FramesOf(source)
	}
	memoryMB := dpdk.MempoolBytes(packets, frameRoom)>>20*11/10 + slackMB
	if d.pages, err = machine.ReserveHugepages(memoryMB); err != nil {
		return d, err
	}
	d.memory, err = dpdk.Init(dpdk.Options{Hugepages: dpdk.HugepagesAuto, MemoryMB: memoryMB, MainCore: mainCore, FilePrefix: d.prefix})
	if err != nil {
		return d, err
	}
	if d.pool, err = dpdk.NewMempool(dpdk.MempoolOptions{Count: packets, FrameSize: frameRoom}); err != nil {
		return d, err
	}
	if d.dir, err = os.MkdirTemp("", "sluice-pktgen-"); err != nil {
		return d, fmt.Errorf("make a folder for the replays: %w", err)
	}
	files, err := plan.WriteSources(d.dir)
	if err != nil {
		return d, err
	}
	if err := d.plug(plan, files, workers); err != nil {
		return d, err
	}
	d.poller, err = dpdk.NewPoller(d.pool)
	return d, err
}

func (d *devices) plug(plan *traffic.Plan, files map[string]string, workers int) error {
	for i, port := range plan.Ports() {
		args, queues := fmt.Sprintf("net_null%d,no-rx=1", i), workers
		if file, replays := files[port]; replays {
			queues = 1
			args = fmt.Sprintf("net_pcap%d,rx_pcap=%s,infinite_rx=1", i, file)
		} else if !slices.Contains(plan.Sinks, port) {
			continue // an uplink that local switching does not use
		}
		device, err := dpdk.OpenUplink(dpdk.UplinkOptions{Name: port, Devargs: args, RxQueues: queues, TxQueues: queues, Pool: d.pool})
		if err != nil {
			return err
		}
		d.open = append(d.open, device)
		d.handles[port] = device.Handle()
	}
	return nil
}

// replug replaces all devices by those of another plan, of which the packet pool must have room for the replays.
func (d *devices) replug(plan *traffic.Plan, workers int) error {
	for _, device := range d.open {
		if err := device.Close(); err != nil {
			return err
		}
	}
	d.open, d.handles = nil, map[string]uint32{}
	files, err := plan.WriteSources(d.dir)
	if err != nil {
		return err
	}
	return d.plug(plan, files, workers)
}

// close gives everything back. The poller belongs to whoever got it.
func (d *devices) close() error {
	var errs []error
	for i, device := range d.open {
		errs = append(errs, device.Close())
		d.awaitHangUp(device, d.open[i+1:])
	}
	if d.pool != nil {
		errs = append(errs, d.pool.Close())
	}
	if err := dpdk.Cleanup(); err != nil && !errors.Is(err, dpdk.ErrNotInitialised) {
		errs = append(errs, err)
	}
	if d.dir != "" {
		errs = append(errs, os.RemoveAll(d.dir))
	}
	// DPDK leaves its runtime folder behind, empty.
	errs = append(errs, os.RemoveAll(filepath.Join("/var/run/dpdk", d.prefix)), d.pages.Release())
	return errors.Join(errs...)
}

package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/sluicenet/sluice/agent"
	"github.com/sluicenet/sluice/cores"
	"github.com/sluicenet/sluice/dataplane"
	"github.com/sluicenet/sluice/dpdk"
	"github.com/sluicenet/sluice/policy"
)

// driver is the agent's way to package dpdk.
type driver struct {
	pool   *dpdk.Mempool
	log    *slog.Logger
	sleepy bool // workers may sleep, and devices are to wake them
}

// ealMemoryMB is what DPDK and its drivers need beside the packets: rings, device and queue structures.
const ealMemoryMB = 64

// openDriver starts DPDK with memory for the pool, on the control cores: its own threads must not share a worker's.
func openDriver(c *policy.Config, pool agent.Pool, plan cores.Plan, log *slog.Logger) (agent.Driver, error) {
	o := dpdk.Options{
		Hugepages:  dpdk.Hugepages(c.Dataplane.Hugepages),
		MemoryMB:   ealMemoryMB + dpdk.MempoolBytes(pool.Packets, pool.FrameSize)>>20,
		MainCore:   plan.Control[0],
		FilePrefix: fmt.Sprintf("sluice-%d", os.Getpid()),
		Log:        func(line string) { log.Debug("dpdk", "line", line) },
	}
	for i := range c.Uplinks {
		if pci := c.Uplinks[i].Device.PCI; pci != "" {
			o.PCI = append(o.PCI, pci)
		}
	}
	mem, err := dpdk.Init(o)
	if err != nil {
		return nil, err
	}
	d := &driver{log: log, sleepy: c.Dataplane.Idle.Mode != policy.IdleBusy}
	if d.pool, err = dpdk.NewMempool(dpdk.MempoolOptions{Count: pool.Packets, Cache: agent.PoolCache, FrameSize: pool.FrameSize}); err != nil {
		return nil, errors.Join(err, dpdk.Cleanup())
	}
	if mem.Note != "" {
		log.Warn(mem.Note)
	}
	log.Info("packet memory", "packets", pool.Packets, "frameBytes", pool.FrameSize, "memoryMB", o.MemoryMB, "hugepages", mem.Hugepages)
	return d, nil
}

// OpenUplink implements agent.Driver.
func (d *driver) OpenUplink(s agent.UplinkSpec) (agent.Device, error) {
	name := s.DevArgs
	if s.PCI != "" {
		name = s.PCI
	}
	return d.opened(dpdk.OpenUplink(dpdk.UplinkOptions{
		Name: s.Name, Devargs: name, RxQueues: s.RxQueues, TxQueues: s.TxQueues, MTU: s.MTU, Pool: d.pool,
		Interrupts:  d.sleepy,
		DCB:         dpdk.DCBOptions{Classes: s.Hardware.Classes, PFC: s.Hardware.PFC, Shares: s.Hardware.Divides, Required: s.Hardware.Required && s.Hardware.Classes > 0},
		Promiscuous: true, // VMs in VLANs have addresses of their own, and can come with any apply
	}))
}

// OpenTap implements agent.Driver.
func (d *driver) OpenTap(s agent.TapSpec) (agent.Device, error) {
	return d.opened(dpdk.OpenTap(dpdk.TapOptions{
		Name: s.Name, Interface: s.Interface, Namespace: s.Namespace, MAC: s.MAC, MTU: s.MTU, Queues: s.Queues, Persist: s.Persist, Pool: d.pool,
	}))
}

func (d *driver) opened(dev *dpdk.Device, err error) (agent.Device, error) {
	if err != nil {
		return nil, err
	}
	for _, note := range dev.Notes() {
		d.log.Warn(note)
	}
	return device{dev}, nil
}

// NewPoller implements agent.Driver.
func (d *driver) NewPoller() (dataplane.Poller, error) { return dpdk.NewPoller(d.pool) }

// TSCHz implements agent.Driver.
func (d *driver) TSCHz() uint64 { return dpdk.TSCHz() }

// Close implements agent.Driver.
func (d *driver) Close() error { return errors.Join(d.pool.Close(), dpdk.Cleanup()) }

// device gives a dpdk.Device the agent's words for statistics and DCB.
type device struct{ *dpdk.Device }

func (d device) DCB() agent.DCB {
	b := d.Device.DCB()
	return agent.DCB{Classes: b.Classes, Err: b.Err, HasPFC: b.HasPFC, Running: b.Running, Divides: b.Shares, PFC: b.PFC, Refused: b.Refused}
}

func (d device) Stats() (agent.DeviceStats, error) {
	s, err := d.Device.Stats()
	return agent.DeviceStats{
		RxPackets: s.RxPackets, RxBytes: s.RxBytes, RxErrors: s.RxErrors, RxMissed: s.RxMissed, RxNoMbuf: s.RxNoMbuf,
		TxPackets: s.TxPackets, TxBytes: s.TxBytes, TxErrors: s.TxErrors,
	}, err
}

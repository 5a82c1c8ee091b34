package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/sluicenet/sluice/agent"
	"github.com/sluicenet/sluice/benchmarks/machine"
	"github.com/sluicenet/sluice/dataplane"
	"github.com/sluicenet/sluice/dpdk"
)

// agentDriver is an agent's way to DPDK, for benchmarks that run a whole agent.
type agentDriver struct {
	pages  *machine.Hugepages
	memory dpdk.Memory
	pool   *dpdk.Mempool
	prefix string
}

// openAgentDriver starts DPDK on the given core with memory for the pool.
func openAgentDriver(pool agent.Pool, mainCore int) (d *agentDriver, err error) {
	d = &agentDriver{prefix: fmt.Sprintf("sluice-pktgen-%d", os.Getpid())}
	memoryMB := dpdk.MempoolBytes(pool.Packets, pool.FrameSize)>>20*11/10 + slackMB
	if d.pages, err = machine.ReserveHugepages(memoryMB); err != nil {
		return nil, err
	}
	d.memory, err = dpdk.Init(dpdk.Options{Hugepages: dpdk.HugepagesAuto, MemoryMB: memoryMB, MainCore: mainCore, FilePrefix: d.prefix})
	if err != nil {
		return nil, errors.Join(err, d.pages.Release())
	}
	d.pool, err = dpdk.NewMempool(dpdk.MempoolOptions{Count: pool.Packets, Cache: agent.PoolCache, FrameSize: pool.FrameSize})
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// OpenUplink implements agent.Driver.
func (d *agentDriver) OpenUplink(s agent.UplinkSpec) (agent.Device, error) {
	name := s.DevArgs
	if s.PCI != "" {
		name = s.PCI
	}
	return agentDeviceOf(dpdk.OpenUplink(dpdk.UplinkOptions{
		Name: s.Name, Devargs: name, RxQueues: s.RxQueues, TxQueues: s.TxQueues, MTU: s.MTU, Pool: d.pool, Promiscuous: true,
	}))
}

// OpenTap implements agent.Driver.
func (d *agentDriver) OpenTap(s agent.TapSpec) (agent.Device, error) {
	return agentDeviceOf(dpdk.OpenTap(dpdk.TapOptions{
		Name: s.Name, Interface: s.Interface, Namespace: s.Namespace, MAC: s.MAC, MTU: s.MTU, Queues: s.Queues, Persist: s.Persist, Pool: d.pool,
	}))
}

// NewPoller implements agent.Driver.
func (d *agentDriver) NewPoller() (dataplane.Poller, error) { return dpdk.NewPoller(d.pool) }

// TSCHz implements agent.Driver.
func (d *agentDriver) TSCHz() uint64 { return dpdk.TSCHz() }

// Close implements agent.Driver.
func (d *agentDriver) Close() error {
	var errs []error
	if d.pool != nil {
		errs = append(errs, d.pool.Close())
	}
	return errors.Join(append(errs, dpdk.Cleanup(), os.RemoveAll(filepath.Join("/var/run/dpdk", d.prefix)), d.pages.Release())...)
}

// agentDevice gives a dpdk.Device the agent's word for statistics.
type agentDevice struct{ *dpdk.Device }

func agentDeviceOf(dev *dpdk.Device, err error) (agent.Device, error) {
	if err != nil {
		return nil, err
	}
	return agentDevice{dev}, nil
}

// DCB implements agent.Device. What a generator drives has no classes of its own.
func (d agentDevice) DCB() agent.DCB { return agent.DCB{Err: d.Device.DCB().Err} }

// Stats implements agent.Device.
func (d agentDevice) Stats() (agent.DeviceStats, error) {
	s, err := d.Device.Stats()
	return agent.DeviceStats{
		RxPackets: s.RxPackets, RxBytes: s.RxBytes, RxErrors: s.RxErrors, RxMissed: s.RxMissed, RxNoMbuf: s.RxNoMbuf,
		TxPackets: s.TxPackets, TxBytes: s.TxBytes, TxErrors: s.TxErrors,
	}, err
}

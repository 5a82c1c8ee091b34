package vmq

import (
	"errors"
	"fmt"

	"go.yaml.in/yaml/v3"

	"github.com/sluicenet/sluice/agent"
	"github.com/sluicenet/sluice/benchmarks/profile"
	"github.com/sluicenet/sluice/benchmarks/sequence"
	"github.com/sluicenet/sluice/benchmarks/traffic"
	"github.com/sluicenet/sluice/dataplane"
	"github.com/sluicenet/sluice/packet"
	"github.com/sluicenet/sluice/policy"
)

// queue is a receive queue that brings one VM's traffic: with Decap one of the uplink's, else the VM's own.
type queue struct {
	port   string
	number int
	vm     string
}

// site is the host of a profile: its queues, the numbered streams through them, and its configuration.
type site struct {
	plan    *traffic.Plan
	workers int
	queues  []queue // in the order of the profile's loads
}

func newSite(p *profile.Profile, workers int) *site {
	s := &site{plan: traffic.New(*p), workers: workers}
	for i, vm := range s.plan.VMs() {
		if p.Direction == profile.Decap {
			s.queues = append(s.queues, queue{traffic.Uplink, i, vm.Name})
		} else {
			s.queues = append(s.queues, queue{vm.Name, 0, vm.Name})
		}
	}
	return s
}

// config is the host's configuration with a mode for the queues. Static ones are put where at says.
func (s *site) config(mode string, at []int, limits map[string]any) ([]byte, error) {
	text, err := s.plan.ConfigOn(map[string]string{"devargs": "net_null0"})
	if err != nil {
		return nil, err
	}
	var host map[string]any
	if err := yaml.Unmarshal(text, &host); err != nil {
		return nil, fmt.Errorf("read the configuration of the profile: %w", err)
	}
	host["daemon"] = map[string]any{"metrics": policy.MetricsOff}
	host["dataplane"] = map[string]any{"vmq": limits}
	ports := map[string][]int{}
	for i, q := range s.queues {
		worker := 0
		if at != nil {
			worker = at[i]
		}
		ports[q.port] = append(ports[q.port], worker)
	}
	for _, section := range []string{"uplinks", "vports"} {
		list, _ := host[section].([]any)
		for _, item := range list {
			port, _ := item.(map[string]any)
			name, _ := port["name"].(string)
			workers := ports[name]
			if len(workers) == 0 {
				continue
			}
			port["queues"] = len(workers)
			vmq := map[string]any{"mode": mode}
			if mode == policy.VMQStatic && at != nil {
				vmq["workers"] = workers
			}
			port["vmq"] = vmq
		}
	}
	return yaml.Marshal(host)
}

// ports are all of the host's: nothing comes from anywhere else.
func (s *site) ports() (all []sequence.Port) {
	queues := map[string]int{}
	for _, q := range s.queues {
		queues[q.port]++
	}
	for _, name := range s.plan.Ports() {
		p := sequence.Port{Name: name, RxQueues: max(queues[name], 1), TxQueues: 1}
		if name == traffic.Uplink {
			p.TxQueues, p.Hops = s.workers, traffic.NextHops()
		}
		all = append(all, p)
	}
	return all
}

// streams are the profile's flows, each with what must become of its packets, worked out here and not taken from the
// switch.
func (s *site) streams() ([]sequence.Stream, error) {
	of := map[string]queue{}
	for _, q := range s.queues {
		of[q.vm] = q
	}
	all := make([]sequence.Stream, 0, s.plan.Profile.Flows)
	for i := range s.plan.Profile.Flows {
		f := s.plan.Flow(i)
		frame, err := s.plan.Frame(f)
		if err != nil {
			return nil, fmt.Errorf("flow %d: %w", i, err)
		}
		m := sequence.Stream{Name: fmt.Sprintf("%d %s>%s:%d", i, f.From.CA, f.To.CA, f.SrcPort), Out: f.Sink, Frame: frame}
		near := f.From.Name
		if s.plan.Profile.Direction == profile.Decap {
			near, m.Want = f.To.Name, frame[profile.Encapsulation:]
		} else if m.Want, err = s.plan.Encapsulated(f, frame); err != nil {
			return nil, fmt.Errorf("flow %d: %w", i, err)
		} else {
			m.FreeByte = traffic.FlowIDByte
		}
		m.In, m.Queue = of[near].port, of[near].number
		all = append(all, m)
	}
	return all, nil
}

// byHand puts queues onto workers as an operator would who knows their loads: the heaviest first, each to the worker with
// the least.
func byHand(loads []float64, workers int) []int {
	at, sums := make([]int, len(loads)), make([]float64, workers)
	left := make([]bool, len(loads))
	for range loads {
		heaviest := -1
		for i, load := range loads {
			if !left[i] && (heaviest < 0 || load > loads[heaviest]) {
				heaviest = i
			}
		}
		least := 0
		for w, sum := range sums {
			if sum < sums[least] {
				least = w
			}
		}
		left[heaviest], at[heaviest] = true, least
		sums[least] += loads[heaviest]
	}
	return at
}

// driver opens sequence ports; the pollers below it have none of their own.
type driver struct {
	agent.Driver
	net *sequence.Net
}

// OpenUplink implements agent.Driver.
func (d *driver) OpenUplink(s agent.UplinkSpec) (agent.Device, error) {
	return d.open(s.Name, device{mac: traffic.UplinkMAC, mtu: s.MTU, rx: s.RxQueues, tx: s.TxQueues})
}

// OpenTap implements agent.Driver.
func (d *driver) OpenTap(s agent.TapSpec) (agent.Device, error) {
	return d.open(s.Name, device{mac: s.MAC, mtu: s.MTU, rx: s.Queues, tx: s.Queues})
}

func (d *driver) open(name string, dev device) (agent.Device, error) {
	handle, ok := d.net.Handle(name)
	if !ok {
		return nil, fmt.Errorf("port %s is none of the profile's", name)
	}
	dev.handle = handle
	return &dev, nil
}

// NewPoller implements agent.Driver.
func (d *driver) NewPoller() (dataplane.Poller, error) {
	inner, err := d.Driver.NewPoller()
	if err != nil {
		return nil, err
	}
	return d.net.Poller(inner), nil
}

// device is a sequence port as the agent sees it.
type device struct {
	handle uint32
	mac    packet.MAC
	mtu    int
	rx, tx int
}

func (d *device) Handle() uint32                    { return d.handle }
func (d *device) MAC() packet.MAC                   { return d.mac }
func (d *device) MTU() int                          { return d.mtu }
func (d *device) Link() (bool, uint32)              { return true, 0 }
func (d *device) DCB() agent.DCB                    { return agent.DCB{Err: errors.ErrUnsupported} }
func (d *device) Stats() (agent.DeviceStats, error) { return agent.DeviceStats{}, nil }
func (d *device) RxQueues() int                     { return d.rx }
func (d *device) TxQueues() int                     { return d.tx }
func (d *device) Created() bool                     { return true }
func (d *device) Gone() bool                        { return false }
func (d *device) Close() error                      { return nil }
func (d *device) Remove() error                     { return nil }

// Reconfigure implements agent.Device.
func (d *device) Reconfigure(packet.MAC, int) error { return errors.ErrUnsupported }

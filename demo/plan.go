package demo

import (
	"fmt"
	"net/netip"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/sluicenet/sluice/demo/netlab"
	"github.com/sluicenet/sluice/policy"
)

// host is one of the two hosts, as its sample configuration describes it.
type host struct {
	Name   string
	YAML   []byte // the sample with the demo's socket, core and namespaces
	Socket string
	Uplink string // kernel interface of the uplink
	MTU    int
	PA     netip.Prefix
	Router string // MAC of the distributed router
}

// vm is a virtual machine: a namespace with a tap.
type vm struct {
	Name      string // of the vport
	Host      int    // index into plan.hosts
	Tenant    string
	Subnet    string
	VSID      uint32
	CA        netip.Addr
	PA        netip.Addr   // its own, by IP rewrite; invalid by NVGRE
	Prefix    netip.Prefix // of the subnet
	MAC       string
	Interface string
	Namespace string // without the demo's prefix
}

// gateway is the distributed router's address in the VM's subnet: the first usable one.
func (v *vm) gateway() netip.Addr { return v.Prefix.Masked().Addr().Next() }

// plan is what the demo builds.
type plan struct {
	hosts   []host
	vms     []*vm
	tenants []string
}

// makePlan reads the demo's hosts and VMs from the configurations of the hosts, and adapts these to the machine.
func makePlan(files []string, read func(string) ([]byte, error)) (*plan, error) {
	p := &plan{}
	for i, file := range files {
		raw, err := read(file)
		if err != nil {
			return nil, fmt.Errorf("read sample configuration: %w", err)
		}
		if err := p.addHost(i, file, raw); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (p *plan) addHost(index int, file string, raw []byte) error {
	cfg, err := policy.Parse(file, raw)
	if err != nil {
		return fmt.Errorf("sample configuration: %w", err)
	}
	if len(cfg.Uplinks) != 1 || cfg.Uplinks[0].Device.Interface == "" || len(cfg.Uplinks[0].ProviderAddresses) != 1 {
		return fmt.Errorf("sample configuration %s: the demo needs one uplink on a kernel interface, with one provider address", file)
	}
	up := &cfg.Uplinks[0]
	h := host{
		Name: cfg.Host.Name, Socket: runDir + "/" + cfg.Host.Name + ".sock", Uplink: up.Device.Interface, MTU: up.MTU,
		PA: up.ProviderAddresses[0], Router: cfg.Dataplane.RouterMAC.String(),
	}
	for i := range cfg.Vports {
		if v := p.vmOf(index, cfg, &cfg.Vports[i]); v != nil {
			p.vms = append(p.vms, v)
		}
	}
	if index == 0 {
		for i := range cfg.Networks {
			p.tenants = append(p.tenants, cfg.Networks[i].Name)
		}
	}
	if h.YAML, err = adapt(raw, h.Socket, core(index, netlab.Cores())); err != nil {
		return fmt.Errorf("adapt sample configuration %s: %w", file, err)
	}
	p.hosts = append(p.hosts, h)
	return nil
}

// vmOf describes the VM of a vport; nil for a vport outside the virtual networks.
func (p *plan) vmOf(host int, cfg *policy.Config, v *policy.VportConfig) *vm {
	subnet, network := cfg.Subnet(v.Subnet)
	if subnet == nil || len(v.Addresses) == 0 {
		return nil
	}
	machine := &vm{
		Name: v.Name, Host: host, Tenant: network.Name, Subnet: subnet.Name, VSID: subnet.VSID, CA: v.Addresses[0],
		Prefix: subnet.Prefix, MAC: v.MAC.String(), Interface: v.Device.Interface, Namespace: namespaceOf(v.Device.Namespace),
	}
	if len(v.ProviderAddresses) > 0 {
		machine.PA = v.ProviderAddresses[0]
	}
	return machine
}

func namespaceOf(configured string) string { return strings.TrimPrefix(configured, prefix) }

// core gives each host's worker a core of its own while there are enough, else none in particular (-1).
func core(host int, cores []int) int {
	if len(cores) < 2 {
		return -1
	}
	return cores[host%len(cores)]
}

// adapt rewrites a sample where the demo's machine differs from it: control socket, core of the worker, names of the
// VMs' namespaces. All else, comments included, stays as it is.
func adapt(raw []byte, socket string, core int) ([]byte, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(raw, &doc); err != nil {
		return nil, err
	}
	root := doc.Content[0]
	if err := set(field(root, "daemon"), "socket", socket); err != nil {
		return nil, err
	}
	dataplane := field(root, "dataplane")
	if err := set(dataplane, "workers", 1); err != nil {
		return nil, err
	}
	remove(dataplane, "cores")
	if core >= 0 {
		if err := set(dataplane, "cores", []int{core}); err != nil {
			return nil, err
		}
	}
	for _, vport := range field(root, "vports").Content {
		device := field(vport, "device")
		if ns := lookup(device, "namespace"); ns != nil {
			ns.Value = prefix + namespaceOf(ns.Value)
		}
	}
	return yaml.Marshal(&doc)
}

// lookup finds the value of a key in a mapping, nil without it.
func lookup(mapping *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			return mapping.Content[i+1]
		}
	}
	return nil
}

// field finds the value of a key, and makes an empty mapping of it when missing.
func field(mapping *yaml.Node, key string) *yaml.Node {
	if value := lookup(mapping, key); value != nil {
		return value
	}
	value := &yaml.Node{Kind: yaml.MappingNode}
	mapping.Content = append(mapping.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: key}, value)
	return value
}

func set(mapping *yaml.Node, key string, value any) error { return field(mapping, key).Encode(value) }

func remove(mapping *yaml.Node, key string) {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			mapping.Content = append(mapping.Content[:i], mapping.Content[i+2:]...)
			return
		}
	}
}

package policy

import "github.com/sluicenet/sluice/packet"

// IP rewrite instead of encapsulation: each (VSID, CA) has a provider address of its own, and packets cross the fabric
// between the provider addresses of the VMs, with nothing around them. What a packet does not carry, VSID and MACs, both
// ends know from the records of the two addresses.

// vmIndex says which VM of this host a provider address stands for.
type vmIndex struct {
	subnet, record uint32
	uplink         uint32 // port index: where the fabric finds the address
}

// indexPAs finds the subnet's rewritten records.
func (s *Subnet) indexPAs() {
	s.byPA, s.own = nil, nil
	for i := range s.Records {
		r := &s.Records[i]
		if !r.Rewrite {
			continue
		}
		if s.byPA == nil {
			s.byPA = map[packet.Addr]uint32{}
		}
		s.byPA[r.PA] = uint32(i)
		if r.Local() {
			s.own = append(s.own, uint32(i))
		}
	}
}

// indexVMs finds the rewritten VMs of this host. Those without an uplink in their prefix cannot be reached.
func (s *Snapshot) indexVMs() {
	s.vms = map[packet.Addr]vmIndex{}
	for i, sub := range s.Subnets {
		for _, k := range sub.own {
			pa := sub.Records[k].PA
			if home := s.home(pa); home != nil {
				s.vms[pa] = vmIndex{subnet: uint32(i), record: k, uplink: home.Uplink}
			}
		}
	}
}

// home is the first of this host's provider addresses whose prefix holds pa: its uplink is the one that answers for pa.
func (s *Snapshot) home(pa packet.Addr) *ProviderAddress {
	for i := range s.PAs {
		if s.PAs[i].Prefix.Contains(pa) {
			return &s.PAs[i]
		}
	}
	return nil
}

// VMByPA finds the VM of this host that a provider address belongs to, and the uplink that answers for it; nil when
// there is none.
func (s *Snapshot) VMByPA(pa packet.Addr) (vm *Record, uplink uint32) {
	if at, ok := s.vms[pa]; ok {
		return &s.Subnets[at.subnet].Records[at.record], at.uplink
	}
	return nil, NoIndex
}

// RecordByPA finds the rewritten VM of a routing domain, here or elsewhere, that a provider address belongs to; nil
// when the domain has none.
func (s *Snapshot) RecordByPA(rdid uint32, pa packet.Addr) *Record {
	d := s.Domain(rdid)
	if d == nil {
		return nil
	}
	for _, i := range d.Subnets {
		sub := s.Subnets[i]
		if k, ok := sub.byPA[pa]; ok {
			return &sub.Records[k]
		}
	}
	return nil
}

// PathFrom chooses how a VM whose own provider address is from reaches target: by the uplink that answers for from, so
// that both directions take the same one, else by any that reaches the target. ok is false when none does.
func (s *Snapshot) PathFrom(from, target packet.Addr, hash uint32) (path ProviderPath, ok bool) {
	home := s.home(from)
	switch {
	case home != nil && home.Prefix.Contains(target):
		return ProviderPath{Uplink: home.Uplink, Source: from, NextHop: target}, true
	case home != nil && !home.Gateway.IsZero():
		return ProviderPath{Uplink: home.Uplink, Source: from, NextHop: home.Gateway}, true
	}
	path, ok = s.pathTo(target, hash)
	path.Source = from
	return path, ok
}

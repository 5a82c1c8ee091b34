package dataplane

import (
	"time"

	"github.com/sluicenet/sluice/packet"
	"github.com/sluicenet/sluice/policy"
)

// control learns addresses for the ports that are not virtualised, and forgets them by age.
func (s *Switch) control() {
	defer close(s.gone)
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	nextAge := int64(0)
	for {
		select {
		case <-s.quit:
			return
		case <-ticker.C:
		}
		for _, w := range s.running() {
			s.learnFrom(w)
		}
		if now := s.clock(); now >= nextAge {
			nextAge = now + int64(time.Second)
			s.forget(func(_ LearnedMAC, used int64) bool { return now-used > int64(s.cfg.MACAge) })
		}
	}
}

func (s *Switch) learnFrom(w *worker) {
	s.fdbMu.Lock()
	defer s.fdbMu.Unlock()
	for {
		e, ok := w.events.get()
		if !ok {
			return
		}
		snap, limit := s.snap.Load(), maxVportMACs
		if snap.Port(e.port).Kind == policy.PortUplink {
			limit = maxUplinkMACs
		}
		if memberOf(snap, e.bridge, e.port) && s.fdb.learn(e.bridge, e.mac, e.port, limit, e.at) {
			s.epochs.bump(macCell(e.bridge, true, e.mac))
		}
	}
}

func (s *Switch) forget(drop func(LearnedMAC, int64) bool) {
	s.fdbMu.Lock()
	defer s.fdbMu.Unlock()
	if s.fdb.count == 0 {
		return
	}
	s.fdb.expire(drop, func(bridge uint32, m packet.MAC) { s.epochs.bump(macCell(bridge, true, m)) })
}

func memberOf(snap *policy.Snapshot, bridge, port uint32) bool {
	br := snap.Bridges[bridge]
	if br == nil {
		return false
	}
	if br.Uplink == port {
		return true
	}
	for _, p := range br.Ports {
		if p == port {
			return true
		}
	}
	return false
}

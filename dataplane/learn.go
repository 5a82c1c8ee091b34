package dataplane

import (
	"time"

	"github.com/sluicenet/sluice/packet"
	"github.com/sluicenet/sluice/policy"
)

// How often control looks for addresses to learn: every wake-up of an idle daemon costs it more than the look itself.
const (
	learnTick  = 20 * time.Millisecond
	idleTick   = 50 * time.Millisecond // after quietTicks without any
	quietTicks = 50
)

// control learns addresses for the ports that are not virtualised, forgets them by age, and watches the workers.
func (s *Switch) control() {
	defer close(s.gone)
	ticker := time.NewTicker(learnTick)
	defer ticker.Stop()
	nextAge, quiet := int64(0), 0
	for {
		select {
		case <-s.quit:
			return
		case <-ticker.C:
		}
		learned := false
		for _, w := range s.running() {
			learned = s.learnFrom(w) || learned
		}
		switch {
		case learned && quiet >= quietTicks:
			ticker.Reset(learnTick)
			quiet = 0
		case learned:
			quiet = 0
		case quiet < quietTicks:
			if quiet++; quiet == quietTicks {
				ticker.Reset(idleTick)
			}
		}
		s.watch()
		if now := s.clock(); now >= nextAge {
			nextAge = now + int64(time.Second)
			s.forget(func(_ LearnedMAC, used int64) bool { return now-used > int64(s.cfg.MACAge) })
		}
	}
}

// learnFrom reports whether the worker had anything to tell.
func (s *Switch) learnFrom(w *worker) (told bool) {
	s.fdbMu.Lock()
	defer s.fdbMu.Unlock()
	for {
		e, ok := w.events.get()
		if !ok {
			return told
		}
		told = true
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

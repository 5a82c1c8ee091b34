package dataplane

import (
	"sync/atomic"
	"time"

	"github.com/sluicenet/sluice/packet"
)

const (
	fdbSlots  = 1 << 17
	maxMACs   = fdbSlots * 3 / 4
	fdbProbes = 128

	// No port may fill the table for all others: a vport has few VMs behind it, and uplinks leave a quarter to vports.
	maxVportMACs  = 4096
	maxUplinkMACs = maxMACs * 3 / 4
)

// fdb is the forwarding database of the ports that are not virtualised: which Ethernet address was last seen on which
// port of which bridge. One goroutine writes (Switch.control), every worker reads and marks entries as used, and
// nobody waits. The table outlives snapshots, because a learned address is no policy.
type fdb struct {
	slots   []fdbSlot
	count   int
	ofPort  map[uint32]int
	version atomic.Uint64 // grows with every change, before the epoch cell of what changed is bumped
}

// fdbSlot is written in the order bridge, port, used, mac, and cleared mac first: a reader that sees the same mac before
// and after has read the fields that belong to it.
type fdbSlot struct {
	mac    atomic.Uint64 // fdbUsed | address; 0 is empty, fdbDeleted was used
	bridge atomic.Uint32
	port   atomic.Uint32
	used   atomic.Int64 // clock of the last packet from it, ns
}

const (
	fdbUsed    = 1 << 63
	fdbDeleted = 1 // no key: searches go on behind it
)

func newFDB() *fdb { return &fdb{slots: make([]fdbSlot, fdbSlots), ofPort: map[uint32]int{}} }

func (t *fdb) find(bridge uint32, m packet.MAC) *fdbSlot {
	key := fdbUsed | m.Uint64()
	at := mix(key, uint64(bridge))
	for range fdbProbes {
		s := &t.slots[at%fdbSlots]
		switch k := s.mac.Load(); {
		case k == 0:
			return nil
		case k == key && s.bridge.Load() == bridge:
			return s
		}
		at++
	}
	return nil
}

// lookup finds the port of an address; false when it is not known.
func (t *fdb) lookup(bridge uint32, m packet.MAC) (port uint32, ok bool) {
	s := t.find(bridge, m)
	if s == nil {
		return 0, false
	}
	port = s.port.Load()
	return port, s.mac.Load() == fdbUsed|m.Uint64()
}

// touch keeps an address young while its flows live. Workers call it.
func (t *fdb) touch(bridge uint32, m packet.MAC, now int64) {
	if s := t.find(bridge, m); s != nil {
		s.used.Store(now)
	}
}

// learn notes that m was seen on port, which may have limit addresses; changed when it was unknown or elsewhere. A full
// table learns nothing more: frames to further addresses are flooded.
func (t *fdb) learn(bridge uint32, m packet.MAC, port uint32, limit int, now int64) (changed bool) {
	s := t.find(bridge, m)
	if s != nil && s.port.Load() == port {
		s.used.Store(now)
		return false
	}
	if t.ofPort[port] >= limit {
		return false
	}
	if s != nil {
		t.ofPort[s.port.Load()]--
		t.ofPort[port]++
		s.used.Store(now)
		s.port.Store(port)
		t.version.Add(1)
		return true
	}
	if t.count >= maxMACs {
		return false
	}
	key := fdbUsed | m.Uint64()
	at := mix(key, uint64(bridge))
	for range fdbProbes {
		s := &t.slots[at%fdbSlots]
		if k := s.mac.Load(); k == 0 || k == fdbDeleted {
			s.bridge.Store(bridge)
			s.port.Store(port)
			s.used.Store(now)
			s.mac.Store(key)
			t.count++
			t.ofPort[port]++
			t.version.Add(1)
			return true
		}
		at++
	}
	return false
}

// expire forgets the addresses that drop says true of, and calls gone for each. It goes backwards, so that of a row of
// marks with nothing behind it none is left: searches would go over them for ever.
func (t *fdb) expire(drop func(LearnedMAC, int64) bool, gone func(bridge uint32, m packet.MAC)) {
	for i := fdbSlots - 1; i >= 0; i-- {
		s := &t.slots[i]
		k := s.mac.Load()
		if k == 0 {
			continue
		}
		e := LearnedMAC{Bridge: s.bridge.Load(), MAC: packet.MACFromUint64(k), Port: s.port.Load()}
		if k != fdbDeleted && !drop(e, s.used.Load()) {
			continue
		}
		if t.slots[(i+1)%fdbSlots].mac.Load() == 0 {
			s.mac.Store(0)
		} else {
			s.mac.Store(fdbDeleted)
		}
		if k != fdbDeleted {
			t.forgot(e.Port)
			gone(e.Bridge, e.MAC)
		}
	}
}

func (t *fdb) forgot(port uint32) {
	t.count--
	if t.ofPort[port]--; t.ofPort[port] == 0 {
		delete(t.ofPort, port)
	}
	t.version.Add(1)
}

// LearnedMAC is an entry of the forwarding database.
type LearnedMAC struct {
	Bridge uint32 // policy.BridgeID
	MAC    packet.MAC
	Port   uint32
	Age    time.Duration // since the last packet from it was noticed
}

func (t *fdb) list(now int64) []LearnedMAC {
	var all []LearnedMAC
	for i := range t.slots {
		s := &t.slots[i]
		if k := s.mac.Load(); k&fdbUsed != 0 {
			all = append(all, LearnedMAC{Bridge: s.bridge.Load(), MAC: packet.MACFromUint64(k), Port: s.port.Load(),
				Age: time.Duration(max(now-s.used.Load(), 0))}) // a worker's clock may be ahead
		}
	}
	return all
}

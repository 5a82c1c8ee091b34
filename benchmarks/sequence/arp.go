package sequence

import (
	"encoding/binary"

	"github.com/sluicenet/sluice/packet"
)

// maxRequests bounds the ARP requests that wait for an answer: the switch asks again for what is lost.
const maxRequests = 256

// request is an ARP request of the switch for a host in the fabric.
type request struct {
	hop  packet.MAC // that answers
	addr uint32
	mac  packet.MAC // of the switch
	from uint32
}

const arpFrame = 60

// ask notes an ARP request that the switch sends by an uplink. It may be sent by another worker than the one that has the
// uplink's receive queue.
func (p *port) ask(data []byte) bool {
	if len(p.Hops) == 0 || len(data) < 14 || binary.BigEndian.Uint16(data[12:]) != packet.EtherTypeARP {
		return false
	}
	arp, ok := packet.CheckARP(data[14:])
	if !ok || arp.Op() != packet.ARPRequest {
		return false
	}
	hop, known := p.Hops[packet.AddrFrom4(arp.TargetIP())]
	if !known {
		return true // nobody there: silence
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.asks) < maxRequests {
		p.asks = append(p.asks, request{hop: hop, addr: arp.TargetIP(), mac: arp.SenderMAC(), from: arp.SenderIP()})
		p.asked.Store(true)
	}
	return true
}

// take gives one request that waits.
func (p *port) take() (r request, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.asks) == 0 {
		return r, false
	}
	r = p.asks[len(p.asks)-1]
	p.asks = p.asks[:len(p.asks)-1]
	p.asked.Store(len(p.asks) > 0)
	return r, true
}

// encode writes the answer.
func (r request) encode(data []byte) {
	clear(data)
	eth := packet.Ethernet(data)
	eth.SetDst(r.mac)
	eth.SetSrc(r.hop)
	binary.BigEndian.PutUint16(data[12:], packet.EtherTypeARP)
	packet.EncodeARP(data[14:], packet.ARPReply, r.hop, r.addr, r.mac, r.from)
}

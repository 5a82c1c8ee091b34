package generator

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/sluicenet/sluice/benchmarks/profile"
	"github.com/sluicenet/sluice/benchmarks/traffic"
	"github.com/sluicenet/sluice/packet"
)

const (
	maxHead   = 128 // holds every header, and the stamp
	blockSize = 16  // frames for one output in a row, so that a burst makes few calls of its driver
)

// template is the frame of one flow.
type template struct {
	length uint16
	tail   uint16 // which of the tails
	out    uint16 // device that it leaves by
	sink   uint16 // device that it is to arrive at; anySink without one
	at     place
}

const anySink = ^uint16(0)

// templates are the frames of all flows, in the order in which they are sent. The number of a template is that of its
// stream.
type templates struct {
	heads  []byte // the first bytes of every frame, stride apart
	stride int
	all    []template
	tails  [][]byte // what follows the head: few differ
	wire   float64  // mean size of a frame on a wire, FCS, preamble and gap counted, bytes
	bases  []int    // templates of which no two have the same addresses: new flows are made of them
	knownK int      // from where on the ports of new flows are free
}

// newTemplates makes the frames of a plan; outputs and sinks say which device a port of the plan is.
func newTemplates(plan *traffic.Plan, outputs, sinks map[string]uint16) (*templates, error) {
	t := &templates{}
	pr := &plan.Profile
	perPort := map[uint16][]int{}
	var ports []uint16
	for i := range pr.Flows {
		source := plan.Flow(i).Source
		out, ok := outputs[source]
		if !ok {
			return nil, fmt.Errorf("profile %s: port %s has no device to send by: name one with --tx %s=DEVICE", pr.Name, source, source)
		}
		if perPort[out] == nil {
			ports = append(ports, out)
		}
		perPort[out] = append(perPort[out], i)
	}
	longest := plan.Profile.Received(plan.Profile.MaxBytes())
	t.stride = (min(longest, maxHead) + 63) / 64 * 64
	t.heads = make([]byte, 0, t.stride*pr.Flows)
	tails, pairs := map[string]uint16{}, pr.Tenants*pr.VMs*pr.Peers
	for len(t.all) < pr.Flows {
		for _, port := range ports {
			n := min(blockSize, len(perPort[port]))
			for _, i := range perPort[port][:n] {
				if i < pairs {
					t.bases = append(t.bases, len(t.all))
				}
				if err := t.add(plan, plan.Flow(i), port, sinks, tails); err != nil {
					return nil, err
				}
			}
			perPort[port] = perPort[port][n:]
		}
	}
	t.wire /= float64(pr.Flows)
	t.knownK = (pr.Flows-1)/pairs + 1
	return t, nil
}

func (t *templates) add(plan *traffic.Plan, flow traffic.Flow, out uint16, sinks map[string]uint16, tails map[string]uint16) error {
	frame, err := plan.Frame(flow)
	if err != nil {
		return err
	}
	at, ok := find(frame)
	if !ok || int(at.time)+8 > maxHead {
		return fmt.Errorf("profile %s: a frame of %d bytes from %s to %s has no room for the stamp", plan.Profile.Name, len(frame), flow.From.Name, flow.To.Name)
	}
	clearStamp(frame, at)
	tmpl := template{length: uint16(len(frame)), out: out, sink: anySink, at: at}
	if sink, ok := sinks[flow.Sink]; ok {
		tmpl.sink = sink
	}
	rest := string(frame[min(len(frame), t.stride):])
	tail, known := tails[rest]
	if !known {
		tail = uint16(len(t.tails))
		tails[rest] = tail
		t.tails = append(t.tails, []byte(rest))
	}
	tmpl.tail = tail
	t.all = append(t.all, tmpl)
	head := len(t.heads)
	t.heads = t.heads[:head+t.stride]
	copy(t.heads[head:], frame)
	t.wire += float64(profile.WireBytes(len(frame)))
	return nil
}

// clearStamp puts zeros where the stamp goes, and the checksum that belongs to them.
func clearStamp(frame []byte, at place) {
	check := binary.BigEndian.Uint16(frame[at.check:])
	for _, f := range []struct{ from, n uint8 }{{at.stamp, 8}, {at.mark, 2}, {at.time, 8}} {
		for i := f.from; i < f.from+f.n; i += 2 {
			check = packet.UpdateChecksum16(check, binary.BigEndian.Uint16(frame[i:]), 0)
			frame[i], frame[i+1] = 0, 0
		}
	}
	if udp := at.mark-at.stamp == markAtUDP-stampAtUDP; udp && check == 0 {
		check = 0xffff // RFC 768: zero would mean none
	}
	binary.BigEndian.PutUint16(frame[at.check:], check)
}

// fill writes frame i into a fresh packet and returns its bytes, the stamp still zero.
func (t *templates) fill(p *packet.Packet, i int) []byte {
	tmpl := &t.all[i]
	p.Append(int(tmpl.length))
	data := p.Data()
	head := t.heads[i*t.stride : (i+1)*t.stride]
	if n := copy(data, head); n < len(data) {
		copy(data[n:], t.tails[tmpl.tail])
	}
	return data
}

// setPorts makes a frame that of another flow between the same addresses. The checksum follows.
func setPorts(frame []byte, at place, src, dst uint16) {
	ports := int(at.time) - timeAt
	check := binary.BigEndian.Uint16(frame[at.check:])
	check = packet.UpdateChecksum32(check, binary.BigEndian.Uint32(frame[ports:]), uint32(src)<<16|uint32(dst))
	if at.mark-at.stamp == markAtUDP-stampAtUDP && check == 0 {
		check = 0xffff
	}
	binary.BigEndian.PutUint32(frame[ports:], uint32(src)<<16|uint32(dst))
	binary.BigEndian.PutUint16(frame[at.check:], check)
}

// retarget changes the destination MAC of all frames that have the old one.
func (t *templates) retarget(was, now packet.MAC) {
	for i := range t.all {
		if head := t.heads[i*t.stride:]; slices.Equal(head[:6], was[:]) {
			copy(head, now[:])
		}
	}
}

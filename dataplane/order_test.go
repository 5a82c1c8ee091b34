package dataplane

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/internal/frames"
	"github.com/sluicenet/sluice/packet"
	"github.com/sluicenet/sluice/policy"
)

// numbered is a packet of one flow with its number in the identification field.
func numbered(n int) []byte {
	return frames.Build(frames.Ether(redVM1, redFar), frames.IPv4("10.0.0.5", "10.0.0.7", frames.ID(uint16(n))), frames.UDP(7, 2), frames.Payload(30))
}

// Another worker may learn a next hop while this one still holds packets for it: those that come next must not overtake.
func TestHeldPacketsAreNotOvertaken(t *testing.T) {
	r := newRig(t, 1)
	r.send("red-vm1", numbered(0))
	r.send("red-vm1", numbered(1))
	mac, err := packet.ParseMAC(hostBMAC)
	require.NoError(t, err)
	w := r.sw.workers[0]
	w.do(func() {
		r.sw.neighbours.confirm(r.sw.neighbours.find(r.index.byName["up0"], 172<<24|16<<16|1<<8|2), mac, w.now)
		for i := 2; i < 6; i++ {
			r.inject("red-vm1", numbered(i))
		}
	})
	r.idle()
	sent := r.devs["up0"].Sent()
	require.Len(t, sent, 6)
	for i, f := range sent {
		ip := frames.Decap(t, f).Inner[14:]
		require.EqualValues(t, i, binary.BigEndian.Uint16(ip[4:]))
	}
	r.balanced()
}

// watchedPoller notes whether the worker went to sleep on packets that it had yet to send.
type watchedPoller struct {
	Poller
	staged func() int
	slept  chan int
}

func (p *watchedPoller) Wait(max time.Duration) {
	if n := p.staged(); n > 0 {
		select {
		case p.slept <- n:
		default:
		}
	}
	p.Poller.Wait(max)
}

func TestWorkerSendsBeforeItSleeps(t *testing.T) {
	r := bareRig(t)
	p := &watchedPoller{Poller: r.net.Poller(), slept: make(chan int, 1), staged: func() int { return 0 }}
	r.addWorker(p)
	w := r.sw.workers[0]
	w.do(func() { p.staged = func() int { return w.out.n } })
	r.setUp(rigPolicy, 1)
	r.net.AdvanceTSC(time.Millisecond)
	r.resolve()
	for range 5 { // the confirmation of a next hop is sent by a worker that is otherwise idle
		time.Sleep(20 * time.Millisecond) // until it sleeps
		r.net.AdvanceTSC(neighbourAge + time.Second)
		r.wait("up0", 1)
		r.send("up0", frames.ARPReply(hostBMAC, hostBPA, uplinkMAC, hostAPA))
	}
	select {
	case n := <-p.slept:
		require.Zero(t, n, "packets waited while their worker slept")
	default:
	}
}

// A flow keeps its order while the policy changes under it and its next hop is forgotten and found again.
func TestFlowKeepsItsOrder(t *testing.T) {
	const payload = 14 + 20 + 8
	r := newRig(t, 2)
	r.resolve()
	var policies []*policy.Config
	for _, i := range []int{0, 2, 3} { // none moves the target
		policies = append(policies, r.parse(stressPolicies(r)[i]))
	}
	frame, next := numbered(0), uint32(0)
	r.devs["red-vm1"].SetSource(0, func(p *packet.Packet) bool {
		binary.BigEndian.PutUint32(frame[payload:], next) // a VM's own checksum is not looked at
		next++
		return p.Append(len(frame)) && copy(p.Data(), frame) == len(frame)
	})
	seen, last := 0, -1
	check := func(sent [][]byte) {
		for _, f := range sent {
			if binary.BigEndian.Uint16(f[12:]) != packet.EtherTypeIPv4 {
				continue
			}
			id := int(binary.BigEndian.Uint32(f[42+payload:]))
			require.Greater(t, id, last)
			last = id
			seen++
		}
	}
	mac, err := packet.ParseMAC(hostBMAC)
	require.NoError(t, err)
	hop := r.sw.neighbours.find(r.index.byName["up0"], 172<<24|16<<16|1<<8|2)
	for round := range 100 {
		r.publish(policies[round%len(policies)])
		if round%4 == 0 {
			r.sw.neighbours.setMAC(hop, 0)
			check(r.devs["up0"].Sent())
			r.sw.neighbours.confirm(hop, mac, r.sw.clock())
		}
		check(r.wait("up0", 16)) // the worker has been at it
	}
	r.devs["red-vm1"].SetSource(0, nil)
	r.idle()
	check(r.devs["up0"].Sent())
	require.Greater(t, seen, 500)
	r.balanced()
}

package dataplane

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/internal/frames"
)

// jumpyPoller has a time stamp counter that can be set back.
type jumpyPoller struct {
	Poller
	back atomic.Uint64
}

func (p *jumpyPoller) Poll() {
	p.Poller.Poll()
	p.IO().TSC -= p.back.Load()
}

func TestTimeStampCounterJumpsBack(t *testing.T) {
	r := bareRig(t)
	p := &jumpyPoller{Poller: r.net.Poller()}
	r.addWorker(p)
	r.setUp(rigPolicy, 1)
	r.net.AdvanceTSC(2 * time.Hour)
	r.resolve()
	for _, back := range []time.Duration{time.Hour, 90 * time.Minute} {
		p.back.Store(uint64(back))
		r.net.AdvanceTSC(0) // a poll sees the jump
		r.idle()
		r.net.AdvanceTSC(neighbourAge + time.Second)
		frames.Equal(t, frames.Pad(frames.ARPProbe(uplinkMAC, hostAPA, hostBMAC, hostBPA), 60), r.wait("up0", 1)[0])
		require.Empty(t, r.send("up0", frames.ARPReply(hostBMAC, hostBPA, uplinkMAC, hostAPA)))
		require.Equal(t, "reachable", r.sw.Neighbours()[0].State)
	}
	st := r.workers()[0]
	require.Less(t, st.BusyCycles+st.IdleCycles, uint64(3*time.Hour))
	r.balanced()
}

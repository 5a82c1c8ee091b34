package dataplane

import (
	"cmp"
	"math/bits"
	"slices"
	"sync/atomic"
	"time"

	"github.com/sluicenet/sluice/packet"
	"github.com/sluicenet/sluice/policy"
	"github.com/sluicenet/sluice/qos"
)

// storms limit the frames that are flooded towards vports: broadcast, multicast and unknown unicast. A vport's limit is one
// number that all workers share, the time at which all that it got would have arrived at the configured rate (the generic
// cell rate algorithm, ITU-T I.371): a frame that would put it further than the burst into the future is refused. So neither
// a pause nor a clock that stood still gives more than the burst.
type storms []atomic.Int64 // by port index, ns

// calm reports that a frame may be flooded to a port now, and counts it then.
func (s storms) calm(snap *policy.Snapshot, port uint32, p *packet.Packet, now int64) bool {
	if snap.QoS == nil || len(snap.QoS.Storms) == 0 {
		return true
	}
	all := snap.QoS.Storms
	i, limited := slices.BinarySearchFunc(all, port, func(l policy.StormQoS, port uint32) int { return cmp.Compare(l.Port, port) })
	if !limited {
		return true
	}
	limit := &all[i]
	takes, burst := wireTime(uint64(qos.WireBytes(p)), limit.BytesPerSec), wireTime(limit.BurstBytes, limit.BytesPerSec)
	for at := &s[port]; ; {
		before := at.Load()
		after := max(before, now) + takes
		if after-now > burst {
			return false
		}
		if at.CompareAndSwap(before, after) {
			return true
		}
	}
}

// wireTime is how long bytes take at a rate, ns, at most a day.
func wireTime(bytes, bytesPerSec uint64) int64 {
	const day = 24 * time.Hour
	hi, lo := bits.Mul64(bytes, uint64(time.Second))
	if hi >= bytesPerSec {
		return int64(day)
	}
	ns, _ := bits.Div64(hi, lo, bytesPerSec)
	return int64(min(ns, uint64(day)))
}

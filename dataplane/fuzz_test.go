package dataplane

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/internal/frames"
	"github.com/sluicenet/sluice/packet"
)

// innerOf is what an NVGRE frame that was accepted carries.
func innerOf(frame []byte) []byte {
	header := int(frame[14]&0xf) * 4
	return frame[14+header+8 : 14+int(binary.BigEndian.Uint16(frame[16:]))]
}

// FuzzDecapsulate gives the uplink IPv4 packets for its own Ethernet address, with their header checksum put right or
// as it is. What reaches a VM is an inner frame for that VM, untagged and unchanged but for congestion marks.
func FuzzDecapsulate(f *testing.F) {
	for _, inner := range [][]byte{
		dataFrame(redFar, redVM1, "10.0.0.7", "10.0.0.5"), dataFrame(redFar, redVM1, "10.0.0.7", "10.0.0.5", frames.VLAN(5, 0)),
		dataFrame(routerMAC, redVM1, "10.0.1.7", "10.0.0.5"), udp6(redFar, redVM1, red7, red5), advert(redFar, red7, redVM1, red5, red7),
		frames.ARPReply(redFar, "10.0.0.7", redVM1, "10.0.0.5"), frames.Build(frames.EtherOf(redFar, redVM1, frames.EtherTypeTest), frames.Payload(20)),
	} {
		f.Add(true, fromFar(inner)[14:])
		for _, bad := range frames.MalformedNVGRE(fromFar(inner)) {
			f.Add(false, bad.Frame[14:])
		}
	}
	f.Add(true, frames.Ping(hostBMAC, uplinkMAC, hostBPA, hostAPA, 3, 4)[14:])
	r := newRig(f, 1)
	r.resolve()
	ether := frames.Build(frames.EtherOf(hostBMAC, uplinkMAC, packet.EtherTypeIPv4))[:14]
	f.Fuzz(func(t *testing.T, fix bool, ip []byte) {
		if len(ip) > 1800 {
			return
		}
		r.t = t
		frame := append(append([]byte(nil), ether...), ip...)
		if header := int(ip0(ip)&0xf) * 4; fix && header >= 20 && header <= len(ip) {
			frame = frames.FixIPv4(frame, 14)
		}
		for port, sent := range r.send("up0", frame) {
			if port == "up0" {
				continue // answers to ping, and confirmations of the next hop
			}
			require.True(t, strings.HasPrefix(port, "red") || strings.HasPrefix(port, "blue"), "%s got\n%s", port, frames.Dump(sent[0]))
			require.Len(t, sent, 1)
			inner := innerOf(frame)
			require.Equal(t, len(inner), len(sent[0]))
			require.Equal(t, inner[:14], sent[0][:14])
			require.NotContains(t, [][]byte{{0x81, 0}, {0x88, 0xa8}}, sent[0][12:14])
			if !bytes.Equal(inner, sent[0]) {
				require.NotZero(t, frame[15]&3, "changed without a mark")
				require.Equal(t, inner[min(26, len(inner)):], sent[0][min(26, len(inner)):])
			}
		}
		r.balanced()
		require.Zero(t, r.counters("up0").Drops[ReasonUndecided])
	})
}

func ip0(ip []byte) byte {
	if len(ip) == 0 {
		return 0
	}
	return ip[0]
}

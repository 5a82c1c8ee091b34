package traffic

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/benchmarks/profile"
	"github.com/sluicenet/sluice/packet"
	"github.com/sluicenet/sluice/policy"
)

func load(t *testing.T, name string, change ...func(*profile.Profile)) *Plan {
	t.Helper()
	p, err := profile.Load(name)
	require.NoError(t, err)
	for _, c := range change {
		c(p)
	}
	return New(*p)
}

func wide(p *profile.Profile) { p.Tenants, p.VMs, p.Peers, p.Flows = 2, 3, 5, 1000 }

func TestFramesAreWhatTheProfileSays(t *testing.T) {
	for _, name := range profile.Names() {
		for _, change := range []func(*profile.Profile){func(p *profile.Profile) { p.Flows = min(p.Flows, 5000) }, wide} {
			plan := load(t, name, change)
			keys := map[string]bool{}
			protocols := map[string]int{}
			for i := range plan.Profile.Flows {
				f := plan.Flow(i)
				frame, err := plan.Frame(f)
				require.NoError(t, err)
				require.Len(t, frame, plan.Profile.Received(f.Bytes))
				inner := frame
				if plan.Profile.Direction == profile.Decap {
					inner = decapsulated(t, frame, f)
				}
				keys[string(inner[:14])+string(inner[26:38])+string(rune(f.VSID))] = true
				protocols[decoded(t, inner, f)]++
				require.Contains(t, plan.Sources, f.Source)
			}
			require.Len(t, keys, plan.Profile.Flows, "%s: every flow is another one", name)
			total, weights := 0, 0
			for _, s := range plan.Profile.Protocols {
				weights += s.Weight
			}
			for _, s := range plan.Profile.Protocols {
				assert.InDelta(t, plan.Profile.Flows*s.Weight/weights, protocols[s.Protocol], float64(plan.Profile.Flows)/10)
				total += protocols[s.Protocol]
			}
			assert.Equal(t, plan.Profile.Flows, total)
		}
	}
}

// decoded checks a VM's frame, its checksums too, and names its protocol.
func decoded(t *testing.T, frame []byte, f Flow) string {
	p := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.Default)
	eth := p.Layer(layers.LayerTypeEthernet).(*layers.Ethernet)
	require.Equal(t, f.From.MAC.String(), eth.SrcMAC.String())
	require.Equal(t, f.To.MAC.String(), eth.DstMAC.String())
	ip := p.Layer(layers.LayerTypeIPv4).(*layers.IPv4)
	require.Equal(t, f.From.CA.String(), ip.SrcIP.String())
	require.Equal(t, f.To.CA.String(), ip.DstIP.String())
	require.Zero(t, sum(ip.Contents, 0), "IPv4 checksum")
	pseudo := uint32(ip.Protocol) + uint32(len(ip.Payload))
	for i := 12; i < 20; i += 2 {
		pseudo += uint32(binary.BigEndian.Uint16(ip.Contents[i:]))
	}
	require.Zero(t, sum(ip.Payload, pseudo), "transport checksum")
	if tcp, ok := p.Layer(layers.LayerTypeTCP).(*layers.TCP); ok {
		require.Equal(t, []uint16{f.SrcPort, f.DstPort}, []uint16{uint16(tcp.SrcPort), uint16(tcp.DstPort)})
		return "tcp"
	}
	udp := p.Layer(layers.LayerTypeUDP).(*layers.UDP)
	require.Equal(t, []uint16{f.SrcPort, f.DstPort}, []uint16{uint16(udp.SrcPort), uint16(udp.DstPort)})
	return "udp"
}

func decapsulated(t *testing.T, frame []byte, f Flow) []byte {
	p := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.Default)
	eth := p.Layer(layers.LayerTypeEthernet).(*layers.Ethernet)
	require.Equal(t, UplinkMAC.String(), eth.DstMAC.String())
	ip := p.Layer(layers.LayerTypeIPv4).(*layers.IPv4)
	require.Zero(t, sum(ip.Contents, 0))
	require.Equal(t, []string{FarPA.String(), NearPA.String()}, []string{ip.SrcIP.String(), ip.DstIP.String()})
	gre := p.Layer(layers.LayerTypeGRE).(*layers.GRE)
	require.Equal(t, []byte{0x20, 0x00, 0x65, 0x58}, gre.Contents[:4], "RFC 7637, section 3.2")
	require.Equal(t, f.VSID<<8|uint32(f.FlowID), gre.Key)
	return gre.Payload
}

func sum(b []byte, s uint32) uint16 {
	for ; len(b) > 1; b = b[2:] {
		s += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		s += uint32(b[0]) << 8
	}
	for s > 0xffff {
		s = s&0xffff + s>>16
	}
	return ^uint16(s)
}

func TestPcapHoldsEveryBurstOnce(t *testing.T) {
	plan := load(t, "nvgre-encap", wide, func(p *profile.Profile) { p.Burst = 4 })
	files, err := plan.WriteSources(t.TempDir())
	require.NoError(t, err)
	require.Len(t, files, 6)
	total := 0
	for source, file := range files {
		frames := read(t, file)
		require.Len(t, frames, plan.FramesOf(source))
		total += len(frames)
		for i := range frames {
			require.Equal(t, frames[i/4*4], frames[i], "frames of one flow come in a burst")
		}
		require.NotEqual(t, frames[0], frames[4])
	}
	require.Equal(t, 4000, total)
	var all, again bytes.Buffer
	require.NoError(t, plan.WritePcap(&all, ""))
	require.NoError(t, plan.WritePcap(&again, ""))
	require.Equal(t, all.Bytes(), again.Bytes(), "the same profile gives the same bytes")
	require.Error(t, plan.WriteFile(filepath.Join(t.TempDir(), "no", "folder"), ""))
}

func read(t *testing.T, file string) (frames [][]byte) {
	f, err := os.Open(file)
	require.NoError(t, err)
	defer f.Close()
	r, err := pcapgo.NewReader(f)
	require.NoError(t, err)
	for {
		data, _, err := r.ReadPacketData()
		if err != nil {
			return frames
		}
		frames = append(frames, data)
	}
}

func TestPolicyKnowsEveryVM(t *testing.T) {
	for _, name := range profile.Names() {
		plan := load(t, name, func(p *profile.Profile) { p.Tenants, p.VMs, p.Peers = 2, 2, 5 })
		snap, err := plan.Policy()
		require.NoError(t, err)
		require.Len(t, snap.Ports, len(plan.Ports()))
		require.Equal(t, policy.PortUplink, snap.Ports[plan.Index(Uplink)].Kind)
		require.Equal(t, UplinkMAC, snap.Ports[plan.Index(Uplink)].MAC)
		require.Equal(t, policy.NoIndex, plan.Index("nobody"))
		for i := range min(plan.Profile.Flows, 1000) {
			f := plan.Flow(i)
			if plan.Profile.Direction == profile.Bridge {
				require.EqualValues(t, VLAN(f.From.Tenant), snap.Port(plan.Index(f.Source)).VLAN)
				require.EqualValues(t, VLAN(f.From.Tenant), snap.Port(plan.Index(f.Sink)).VLAN)
				continue
			}
			sub := snap.SubnetByVSID(f.VSID)
			require.NotNil(t, sub)
			for _, vm := range []VM{f.From, f.To} {
				record := sub.ByMAC(vm.MAC)
				require.NotNil(t, record)
				require.Equal(t, plan.Index(vm.Name) != policy.NoIndex, record.Local())
			}
		}
	}
}

// A list is worth its name only if all of it is looked at: no rule but the last concerns the traffic. Each flow costs as many
// comparisons as there are rules, hence a few are taken: far apart, so that every VM and peer, both protocols, and ports from
// all of their range come. The longest lists, whose YAML costs most, are those of both directions; others are their beginning.
func TestRulesLetTheTrafficPass(t *testing.T) {
	const taken, farApart = 200, 21_600_001
	addrs := netip.MustParsePrefix("10.0.0.0/18")
	for name, n := range map[string]int{"nvgre-encap": profile.MaxACLs, "nvgre-decap": profile.MaxACLs, "iprewrite": 1000, "l2-subnet": 1000} {
		plan := load(t, name, func(p *profile.Profile) { p.ACLs, p.VMs, p.Peers = n, 2, 12 })
		rules := plan.Rules()
		require.Len(t, rules, n)
		require.Equal(t, Rule{Name: "rest", Protocol: "any", Allow: true}, rules[len(rules)-1])
		seen := map[Rule]bool{}
		for _, r := range rules {
			r.Name = ""
			require.False(t, seen[r], "a rule twice: %v", r)
			seen[r] = true
			require.Zero(t, r.Low&(r.High-r.Low), "one mask of OpenFlow")
		}
		snap, err := plan.Policy()
		require.NoError(t, err)
		ends, ports := map[[2]VM]bool{}, map[uint16]bool{}
		for i := range taken {
			f := plan.Flow(i * farApart)
			ends[[2]VM{f.From, f.To}], ports[f.DstPort] = true, true
			require.True(t, addrs.Contains(f.From.CA) && addrs.Contains(f.To.CA), "%v", f)
			owner, d, at := f.From, policy.DirOut, policy.ACLPacket{Class: policy.FrameIPv4, HasPorts: true, Proto: 17}
			if f.Protocol == "tcp" {
				at.Proto = 6
			}
			at.Local, at.Remote = packet.AddrFromNetip(f.From.CA), packet.AddrFromNetip(f.To.CA)
			at.LocalPort, at.RemotePort = f.SrcPort, f.DstPort
			if plan.Profile.Direction == profile.Decap {
				owner, d = f.To, policy.DirIn
				at.Local, at.Remote, at.LocalPort, at.RemotePort = at.Remote, at.Local, at.RemotePort, at.LocalPort
			}
			acl := snap.ACLs[snap.Port(plan.Index(owner.Name)).ACL]
			rule := acl.Decide(d, &at)
			require.NotNil(t, rule)
			require.False(t, rule.Denies(), "%v", rule)
			*map[policy.Direction]*uint16{policy.DirOut: &at.RemotePort, policy.DirIn: &at.LocalPort}[d] = 25
			at.Proto = 6
			require.True(t, acl.Decide(d, &at).Denies(), "mail is denied")
		}
		require.Len(t, ends, plan.Profile.Tenants*2*12)
		require.Greater(t, len(ports), 150)
	}
}

func TestNewFlowsAreNew(t *testing.T) {
	plan := load(t, "newflow-flood")
	seen := map[Flow]int{}
	frames := 0
	for f := range plan.Frames("") {
		seen[f]++
		frames++
	}
	require.Equal(t, frames, plan.FramesOf("t1-vm1"))
	known := map[Flow]bool{}
	for i := range plan.Profile.Flows {
		known[plan.Flow(i)] = true
	}
	fresh := 0
	for f, n := range seen {
		if !known[f] {
			require.Equal(t, 1, n, "new flows come once")
			fresh++
		}
	}
	require.InDelta(t, float64(frames)*plan.Profile.NewShare(), fresh, 2)
	require.Len(t, seen, fresh+plan.Profile.Flows)
}

func TestBridgeHasPairsOfAddresses(t *testing.T) {
	plan := load(t, "l2-macs")
	type pair struct{ from, to packet.MAC }
	pairs, stations := map[pair]bool{}, map[packet.MAC]string{}
	for _, s := range plan.Stations() {
		stations[s.MAC] = s.Name
	}
	require.Len(t, stations, 2*plan.Profile.MACs)
	for i := range plan.Profile.Flows {
		f := plan.Flow(i)
		pairs[pair{f.From.MAC, f.To.MAC}] = true
		require.Equal(t, []string{f.Source, f.Sink}, []string{stations[f.From.MAC], stations[f.To.MAC]})
	}
	require.Len(t, pairs, 100000)
	station := plan.Stations()[0]
	require.Equal(t, station.MAC[:], Announcement(station, 1)[6:12])
	require.NotEqual(t, Announcement(station, 1), Announcement(station, 2))
}

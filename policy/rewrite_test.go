package policy

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/packet"
)

func compiled(t *testing.T, prev *Snapshot, text string) *Snapshot {
	t.Helper()
	c := parsed(t, text)
	s, err := Compile(c, prev, NumberPorts(c))
	require.NoError(t, err)
	return s
}

func TestCompileRewrite(t *testing.T) {
	s := compiled(t, nil, rewritten)
	web, db := s.SubnetByVSID(6001), s.SubnetByVSID(6002)
	assert.True(t, web.Rewrite)
	assert.False(t, db.Rewrite)
	assert.Equal(t, []Record{
		{CA: addr("10.0.0.5"), MAC: mac("02:00:00:00:01:01"), PA: addr("172.16.1.31"), Port: 2, Rewrite: true},
		{CA: addr("10.0.0.6"), MAC: mac("02:00:00:00:01:01"), PA: addr("172.16.2.32"), Port: 2, Rewrite: true},
		{MAC: mac("02:00:00:00:01:02"), Port: 3},
		{CA: addr("10.0.0.7"), MAC: mac("02:00:00:00:02:07"), PA: addr("172.16.1.41"), Port: NoIndex, Rewrite: true},
		{CA: addr("10.0.0.8"), MAC: mac("02:00:00:00:02:07"), PA: addr("172.16.1.42"), Port: NoIndex, Rewrite: true},
		{MAC: mac("02:00:00:00:02:09"), PA: addr("172.16.1.2"), Port: NoIndex},
	}, web.Records)
	assert.Equal(t, []Record{
		{CA: addr("10.0.1.5"), MAC: mac("02:00:00:00:01:03"), Port: 4, Subnet: 1},
		{CA: addr("2001:db8:1::5"), MAC: mac("02:00:00:00:01:03"), Port: 4, Subnet: 1},
		{CA: addr("2001:db8:1::6"), MAC: mac("02:00:00:00:01:04"), Port: 5, Subnet: 1},
		{CA: addr("10.0.1.6"), MAC: mac("02:00:00:00:01:04"), PA: addr("172.16.1.33"), Port: 5, Subnet: 1, Rewrite: true},
		{CA: addr("10.0.1.7"), MAC: mac("02:00:00:00:03:07"), PA: addr("172.16.1.43"), Port: NoIndex, Subnet: 1, Rewrite: true},
		{CA: addr("2001:db8:1::7"), MAC: mac("02:00:00:00:03:07"), PA: addr("172.16.1.3"), Port: NoIndex, Subnet: 1},
	}, db.Records)
	assert.Same(t, web, compiled(t, s, rewritten).SubnetByVSID(6001), "an unchanged subnet is shared")
}

func TestVMByPA(t *testing.T) {
	s := compiled(t, nil, rewritten)
	for pa, want := range map[string]struct {
		ca     string
		uplink uint32
	}{"172.16.1.31": {"10.0.0.5", 0}, "172.16.2.32": {"10.0.0.6", 1}, "172.16.1.33": {"10.0.1.6", 0}} {
		vm, uplink := s.VMByPA(addr(pa))
		require.NotNil(t, vm, pa)
		assert.Equal(t, addr(want.ca), vm.CA)
		assert.Equal(t, want.uplink, uplink, "the uplink in whose prefix %s is", pa)
	}
	for _, pa := range []string{"172.16.1.41", "172.16.1.1", "10.0.0.5", "172.16.1.2"} {
		vm, _ := s.VMByPA(addr(pa))
		assert.Nil(t, vm, pa)
	}
	red := s.SubnetByVSID(6001).RDID
	assert.Equal(t, addr("10.0.1.7"), s.RecordByPA(red, addr("172.16.1.43")).CA, "also in another subnet of the domain")
	assert.Equal(t, addr("10.0.0.5"), s.RecordByPA(red, addr("172.16.1.31")).CA)
	assert.Nil(t, s.RecordByPA(red, addr("172.16.1.2")), "a host's")
	assert.Nil(t, s.RecordByPA(red+1, addr("172.16.1.43")), "another domain's")

	web := s.SubnetByVSID(6001)
	records := slices.Clone(web.Records)
	records[0].PA = addr("172.16.1.99")
	next := s.WithRecords(web.Index, records)
	vm, _ := next.VMByPA(addr("172.16.1.99"))
	require.NotNil(t, vm)
	vm, _ = next.VMByPA(addr("172.16.1.31"))
	assert.Nil(t, vm)
	vm, _ = s.VMByPA(addr("172.16.1.31"))
	assert.NotNil(t, vm, "the former snapshot stays as it was")
}

func TestPathFrom(t *testing.T) {
	s := compiled(t, nil, rewritten)
	for _, tt := range []struct {
		from, to, next string
		uplink         uint32
	}{
		{"172.16.1.31", "172.16.1.41", "172.16.1.41", 0},
		{"172.16.1.31", "172.16.2.50", "172.16.1.254", 0}, // by the gateway of its own uplink
		{"172.16.2.32", "172.16.2.50", "172.16.2.50", 1},
		{"172.16.2.32", "172.16.1.41", "172.16.1.41", 0}, // up1 has no gateway
		{"172.16.2.32", "192.0.2.1", "172.16.1.254", 0},
		{"192.0.2.9", "172.16.2.50", "172.16.2.50", 1},
	} {
		for hash := range uint32(4) {
			path, ok := s.PathFrom(addr(tt.from), addr(tt.to), hash<<16)
			require.True(t, ok)
			assert.Equal(t, ProviderPath{Uplink: tt.uplink, Source: addr(tt.from), NextHop: addr(tt.next)}, path, "%s to %s", tt.from, tt.to)
		}
	}
	s = compiled(t, nil, strings.Replace(rewritten, ", gateway: 172.16.1.254", "", 1))
	_, ok := s.PathFrom(addr("172.16.1.31"), addr("192.0.2.1"), 0)
	assert.False(t, ok)
}

func TestCompareRewrite(t *testing.T) {
	base := compiled(t, nil, rewritten)
	red := base.SubnetByVSID(6001).RDID
	for name, tt := range map[string]struct {
		edits edits
		want  Delta
	}{
		"provider address of another host's VM": {edits{"172.16.1.41", "172.16.1.51"}, Delta{
			Addrs: []AddrKey{{red, addr("10.0.0.7")}, {red, addr("10.0.0.8")}}, // the same VM's
			MACs:  []MACKey{{6001, mac("02:00:00:00:02:07")}},
			PAs:   []packet.Addr{addr("172.16.1.41"), addr("172.16.1.42"), addr("172.16.1.51")}}},
		"method of a record": {edits{"pa: 172.16.1.41}", "pa: 172.16.1.2, method: nvgre}"}, Delta{
			Addrs: []AddrKey{{red, addr("10.0.0.7")}, {red, addr("10.0.0.8")}}, MACs: []MACKey{{6001, mac("02:00:00:00:02:07")}},
			PAs: []packet.Addr{addr("172.16.1.41"), addr("172.16.1.42")}}},
		"MTU of a VM": {edits{"[172.16.1.33], mtu: 1400", "[172.16.1.33], mtu: 1300"}, Delta{
			Ports: []uint32{5}, Addrs: []AddrKey{{red, addr("10.0.1.6")}, {red, addr("2001:db8:1::6")}},
			MACs: []MACKey{{6002, mac("02:00:00:00:01:04")}}, PAs: []packet.Addr{addr("172.16.1.33")}}},
		"method of a subnet": {edits{", method: rewrite}\n      - ", "}\n      - ", "pa: 172.16.1.41", "pa: 172.16.1.2", "pa: 172.16.1.42", "pa: 172.16.1.2"},
			Delta{All: true}},
	} {
		t.Run(name, func(t *testing.T) {
			text := rewritten
			for i := 0; i < len(tt.edits); i += 2 {
				text = strings.Replace(text, tt.edits[i], tt.edits[i+1], 1)
			}
			d := Compare(base, compiled(t, base, text))
			assert.ElementsMatch(t, tt.want.Ports, d.Ports)
			assert.ElementsMatch(t, tt.want.Addrs, d.Addrs)
			assert.ElementsMatch(t, tt.want.MACs, d.MACs)
			assert.Equal(t, tt.want.PAs, d.PAs)
			assert.Equal(t, tt.want.All, d.All)
		})
	}
}

func TestDiffRewrite(t *testing.T) {
	var got []string
	next := strings.NewReplacer("[172.16.1.31, 172.16.2.32]", "[172.16.1.31, 172.16.2.33]", "pa: 172.16.1.43, method: rewrite", "pa: 172.16.1.3").Replace(rewritten)
	for _, c := range Diff(parsed(t, rewritten), parsed(t, next)) {
		got = append(got, c.String())
	}
	assert.Equal(t, []string{
		"modify vport red-vm1: providerAddresses 172.16.1.31 172.16.2.32 -> 172.16.1.31 172.16.2.33",
		"modify record 10.0.1.7 of red-db: pa 172.16.1.43 -> 172.16.1.3, method rewrite -> -",
	}, got)
}

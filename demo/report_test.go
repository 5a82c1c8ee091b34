package demo

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	sluicev1 "github.com/sluicenet/sluice/api/sluice/v1"
	"github.com/sluicenet/sluice/demo/netlab"
)

// Lines as tshark prints them for decodeFields.
const decoded = "1\t\t\tff:ff:ff:ff:ff:ff\t\t1\t172.16.1.2\t\t\tWho has 172.16.1.2? Tell 172.16.1.1\n" +
	"2\t172.16.1.1,10.0.0.5\t172.16.1.2,10.0.0.7\t02:00:00:00:00:02,00:15:5d:00:01:02\t0x00177142\t\t\t\t\tEcho (ping) request  id=0x43ca, seq=1/256, ttl=64\n" +
	"3\t172.16.1.2,10.0.0.7\t172.16.1.1,10.0.0.5\t02:00:00:00:00:01,00:15:5d:00:01:01\t0x00177117\t\t\t\t\tEcho (ping) reply    id=0x43ca, seq=1/256, ttl=64\n" +
	"4\t172.16.1.1\t172.16.1.2\t02:00:00:00:00:02,ff:ff:ff:ff:ff:ff\t0x001b5900\t1\t10.0.1.9\t\t\tWho has 10.0.1.9?\n" +
	"5\t172.16.1.1,10.0.0.5\t172.16.1.2,10.0.0.7\t02:00:00:00:00:02,00:15:5d:00:01:02\t0x00177142\t\t\t2097152,8388608\t\tbad checksum\n" +
	"6\t10.0.0.5\t10.0.0.7\t02:00:00:00:00:02\t\t\t\t\t\tnaked\n"

func TestDecodeAndSummarise(t *testing.T) {
	frames, err := parseFrames(decoded)
	require.NoError(t, err)
	require.Len(t, frames, 6)
	assert.Equal(t, Frame{
		Number: 2, From: "172.16.1.1", To: "172.16.1.2", VSID: 6001, FlowID: 0x42, InnerSrc: "10.0.0.5", InnerDst: "10.0.0.7",
		Info: "Echo (ping) request  id=0x43ca, seq=1/256, ttl=64",
	}, frames[1].Frame)
	assert.True(t, frames[3].names("10.0.1.9"), "asking for an address names it")
	assert.False(t, frames[1].names("10.0.1.9"))

	w := summarise(frames, samplePlan(t))
	assert.Equal(t, []uint32{6001, 7001}, w.VSIDs)
	assert.Len(t, w.Excerpt, 2)
	w.VSIDs, w.Excerpt = nil, nil
	assert.Equal(t, Wire{Frames: 6, NVGRE: 4, ProviderARP: 1, Strange: 1, TenantBroadcasts: 1, Complaints: 1, FlowIDs: 3}, w)

	for _, bad := range []string{"1\t2\n", "x" + decoded, strings.Replace(decoded, "0x00177142", "key", 1)} {
		_, err := parseFrames(bad)
		assert.Error(t, err)
	}
}

// A rewritten packet is one between two VMs of one tenant; all else without NVGRE is strange.
func TestRewrittenFrames(t *testing.T) {
	line := func(number, src, dst, arp string) string {
		return number + "\t" + src + "\t" + dst + "\t02:00:00:00:00:02\t\t" + arp + "\t\tinfo\n"
	}
	frames, err := parseFrames(line("1", "172.16.1.11", "172.16.1.12", "\t\t") + line("2", "172.16.1.12", "172.16.1.11", "\t\t") +
		line("3", "172.16.1.11,172.16.1.13", "172.16.1.13,172.16.1.11", "\t\t") + line("4", "172.16.1.11", "172.16.1.2", "\t\t") +
		line("5", "172.16.1.11", "10.0.0.7", "\t\t") + line("6", "", "", "1\t172.16.1.12\t"))
	require.NoError(t, err)
	w := summarise(frames, samplePlan(t))
	assert.Len(t, w.Excerpt, 2, "one for each pair of VMs")
	w.Excerpt = nil
	assert.Equal(t, Wire{Frames: 6, Rewritten: 3, Strange: 2, ProviderARP: 1}, w)
}

func TestBalance(t *testing.T) {
	counters := &sluicev1.Counters{
		RxPackets: 100, Created: 5, Sent: 90, Consumed: 6, Dropped: 7, Queued: 2,
		Drops: []*sluicev1.DropCount{{Reason: "b-reason", Packets: 2}, {Reason: "a-reason", Packets: 5}},
	}
	b := newBalance("host-a", "red-vm1", "vport", counters)
	assert.True(t, b.Holds)
	assert.Equal(t, "a-reason 5, b-reason 2", b.Reasons)
	counters.Sent++
	assert.False(t, newBalance("host-a", "red-vm1", "vport", counters).Holds, "one packet too many")
	counters.Sent--
	counters.Drops[0].Packets++
	assert.False(t, newBalance("host-a", "red-vm1", "vport", counters).Holds, "reasons that do not add up")
}

func sampleReport(t *testing.T) *Report {
	t.Helper()
	frames, err := parseFrames(decoded)
	require.NoError(t, err)
	p := samplePlan(t)
	r := newReport(&stage{plan: p, opts: Options{Reaper: []string{"sluice", "demo"}}})
	r.Checks = []Check{
		{What: "ping", Answers: []Cell{{Tenant: "red", Passed: true, Text: "3/3"}, {Tenant: "blue", Passed: true, Text: "3/3"}}},
		{What: "complaints", Answers: []Cell{{Passed: true, Text: "0"}}},
	}
	r.Counters = []Balance{{Host: "host-a", Port: "up0", Kind: "uplink", Holds: true}}
	r.Wire = summarise(frames, p)
	r.finish()
	return r
}

func TestReportPassesOnlyWhenAllHolds(t *testing.T) {
	assert.True(t, sampleReport(t).Passed)
	spoil := map[string]func(*Report){
		"a check failed":    func(r *Report) { r.Checks[0].Answers[1].Passed = false },
		"books out of tune": func(r *Report) { r.Counters[0].Holds = false },
		"nothing checked":   func(r *Report) { r.Checks = nil },
		"nothing counted":   func(r *Report) { r.Counters = nil },
	}
	for name, change := range spoil {
		r := sampleReport(t)
		change(r)
		r.finish()
		assert.False(t, r.Passed, name)
	}
}

func TestWriteTable(t *testing.T) {
	r := sampleReport(t)
	r.Kept, r.Wire.File = true, "/home/me/sluice-demo.pcapng"
	var b strings.Builder
	r.WriteTable(&b)
	for _, word := range []string{"red-vm1", "10.0.0.5", "VSID 6001", "✓ 3/3", "0x42", "/home/me/sluice-demo.pcapng", "sluice demo --down",
		"ip netns exec sluice-demo-red-vm1 ping 10.0.0.7", "All of it holds"} {
		assert.Contains(t, b.String(), word)
	}
	assert.NotContains(t, b.String(), "\x1b", "no colours for a file")
	for line := range strings.Lines(b.String()) {
		assert.LessOrEqual(t, len([]rune(line)), 130, line)
	}
	data, err := json.Marshal(r)
	require.NoError(t, err)
	assert.Contains(t, string(data), `"passed":true`)
}

func TestProgressWithoutTerminal(t *testing.T) {
	var b strings.Builder
	p := newProgress(&b)
	p.step("build")(nil)
	p.step("measure")(errors.New("no"))
	assert.Regexp(t, `^build … ✓ \(\d+\.\d s\)\nmeasure … ✗ \(\d+\.\d s\)\n$`, b.String())
}

func TestLossOfUDP(t *testing.T) {
	for _, tt := range []struct {
		loss   float64
		passed bool
		mark   string
	}{{0, true, "✓"}, {1, true, "✓"}, {1.5, true, "!"}, {20, true, "!"}, {20.5, false, "✗"}, {99, false, "✗"}} {
		cell, err := udpCell(netlab.Rate{BitsPerSecond: 1e8, LossPercent: tt.loss}, nil)
		require.NoError(t, err)
		assert.Equal(t, tt.passed, cell.Passed, tt)
		assert.Contains(t, cell.Text, "% lost")
		assert.Equal(t, tt.mark, painter(false).answer(cell), tt)

		r := sampleReport(t)
		r.Checks[0].Answers = []Cell{cell, cell}
		r.finish()
		var b strings.Builder
		r.WriteTable(&b)
		assert.Equal(t, tt.passed, r.Passed)
		said := strings.Join(strings.Fields(b.String()), " ")
		assert.Equal(t, tt.mark != "✓", strings.Contains(said, lossNote), "it is said where loss may come from, when there is some")
		assert.LessOrEqual(t, strings.Count(said, lossNote), 1, "but once")
	}
	cell, _ := udpCell(netlab.Rate{}, nil)
	assert.False(t, cell.Passed, "nothing arrived")
}

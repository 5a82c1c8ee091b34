package report

import (
	"image/color"
	"slices"
	"strings"

	"github.com/sluicenet/sluice/benchmarks/peer"
	"github.com/sluicenet/sluice/benchmarks/worker"
)

// Names of contenders, as results have them.
const (
	ours           = worker.Name
	bare           = worker.Name + "-bare"
	churn          = worker.Name + "-churn"
	ovs            = peer.OpenVSwitchName
	noEMC          = peer.OpenVSwitchNoEMCName
	smc            = peer.OpenVSwitchSMCName
	testpmdIO      = peer.TestpmdName
	testpmdMacswap = peer.TestpmdMACSwapName
	spin           = peer.SpinName
	memcpy         = "memcpy"
	memcpyRAM      = "memcpy-ram"
)

// contender says how the page and the chart call a contender.
type contender struct {
	name  string
	label string // on the page
	short string // in heads of tables and in the chart
	fill  color.RGBA
}

// contenders are listed in the order in which they are shown. The colours are of Okabe and Ito's palette, which people who
// see no red or no green can tell apart; members of one family differ in lightness too.
var contenders = []contender{
	{ours, "sluice, one worker", "sluice", color.RGBA{0x00, 0x72, 0xb2, 0xff}},
	{bare, "sluice, bare (without the rules)", "sluice, bare", color.RGBA{0x56, 0xb4, 0xe9, 0xff}},
	{churn, "sluice, 100 MB/s of garbage beside it", "sluice beside garbage", color.RGBA{0x00, 0x4d, 0x78, 0xff}},
	{ovs, "Open vSwitch-DPDK, default", "Open vSwitch, default", color.RGBA{0xe6, 0x9f, 0x00, 0xff}},
	{noEMC, "Open vSwitch-DPDK, no EMC", "Open vSwitch, no EMC", color.RGBA{0xd5, 0x5e, 0x00, 0xff}},
	{smc, "Open vSwitch-DPDK, SMC", "Open vSwitch, SMC", color.RGBA{0xcc, 0x79, 0xa7, 0xff}},
	{testpmdIO, "testpmd io (looks at no packet)", "testpmd io", color.RGBA{0x8c, 0x8c, 0x8c, 0xff}},
	{testpmdMacswap, "testpmd macswap", "testpmd macswap", color.RGBA{0xbf, 0xbf, 0xbf, 0xff}},
	{memcpy, "copying the frames, buffers in use", "memcpy", color.RGBA{0x40, 0x40, 0x40, 0xff}},
	{memcpyRAM, "copying the frames, beyond all caches", "memcpy beyond caches", color.RGBA{0x60, 0x60, 0x60, 0xff}},
	{spin, "loop in C that does nothing", "loop in C", color.RGBA{0x20, 0x20, 0x20, 0xff}},
}

// stranger is what this list does not know yet.
var stranger = color.RGBA{0x00, 0x9e, 0x73, 0xff}

func lookUp(name string) contender {
	if i := rank(name); i < len(contenders) {
		return contenders[i]
	}
	return contender{name, name, name, stranger}
}

func label(name string) string { return lookUp(name).label }

// isOpenVSwitch reports whether a contender is Open vSwitch in one of its configurations.
func isOpenVSwitch(name string) bool { return name == ovs || strings.HasPrefix(name, ovs+"-") }

// best is Open vSwitch in the configuration that took the fewest cycles in this scenario, by the median of its rounds.
func best(rows []Row) (least Row) {
	for _, r := range rows {
		if isOpenVSwitch(r.Contender) && r.Cycles.N > 0 && (least.Cycles.N == 0 || r.Cycles.Median < least.Cycles.Median) {
			least = r
		}
	}
	return least
}

// rank is where a contender stands among the others.
func rank(name string) int {
	if i := slices.IndexFunc(contenders, func(c contender) bool { return c.name == name }); i >= 0 {
		return i
	}
	return len(contenders)
}

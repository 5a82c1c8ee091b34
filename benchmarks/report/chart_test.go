package report

import (
	"bytes"
	"image/png"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/benchmarks/compare"
)

// labels are the texts of the bars of a chart, with the colour's name before each.
func labels(c *Chart) (all []string) {
	for _, g := range c.groups {
		for _, b := range g.bars {
			all = append(all, b.name+": "+b.label)
		}
	}
	return all
}

func TestChart(t *testing.T) {
	r := resultOf(
		scenario(t, "nvgre-encap", 256, samples{smc: {150, 150}, testpmdIO: {25, 27}, ovs: {200, 220}, noEMC: {300, 300}, churn: {51, 51}, ours: {50, 60}, bare: {45, 47}}),
		scenario(t, "l2-macs", 100_000, samples{ours: {100, 100}, ovs: {2000, 0}}),
	)
	c, err := NewChart(r)
	require.NoError(t, err)
	assert.Equal(t, []string{
		"sluice: 55", "sluice, bare: 46", "Open vSwitch, default: 210   3.8×", "Open vSwitch, best of three: 150   2.8×   (SMC)", "testpmd io: 26",
		"sluice: 100", "Open vSwitch, default: 2000   20.0×   (1 of 2 rounds)",
	}, labels(c))
	best, err := NewChart(resultOf(scenario(t, "nvgre-encap", 256, samples{ours: {50}, ovs: {150}, noEMC: {160}})))
	require.NoError(t, err)
	assert.Equal(t, []string{"sluice: 50", "Open vSwitch, default: 150   3.0×   (also the best)"}, labels(best))
	assert.Equal(t, "encapsulation\n256 flows", c.groups[0].name)
	assert.Equal(t, "learning bridge\n100,000 flows", c.groups[1].name)
	assert.InDelta(t, 300, c.limit, 1e-9, "what is far longer is cut")
	var names []string
	for _, s := range c.legend {
		names = append(names, s.name)
	}
	assert.Equal(t, []string{"sluice", "sluice, bare", "Open vSwitch, default", "Open vSwitch, best of three", "testpmd io"}, names)

	svg, err := c.SVG()
	require.NoError(t, err)
	for _, want := range []string{">2000   20.0×   (1 of 2 rounds)<", ">cycles per packet<", ">What a packet costs one core, in cycles of its clock: fewer is better<", "Arial"} {
		assert.Contains(t, string(svg), want)
	}
	again, err := NewChart(r)
	require.NoError(t, err)
	same, err := again.SVG()
	require.NoError(t, err)
	assert.Equal(t, string(svg), string(same), "the same result gives the same picture")
	picture, err := c.PNG()
	require.NoError(t, err)
	img, err := png.Decode(bytes.NewReader(picture))
	require.NoError(t, err)
	assert.Equal(t, 1280, img.Bounds().Dx())

	r.Partial = "interrupted"
	c, err = NewChart(r)
	require.NoError(t, err)
	assert.True(t, strings.HasPrefix(c.title, "INCOMPLETE: "))
}

func TestSummary(t *testing.T) {
	all := samples{ours: {50}, bare: {45}, ovs: {150}, noEMC: {160}, smc: {140}, testpmdIO: {25}, testpmdMacswap: {30}}
	some := []*compare.Scenario{scenario(t, "flows-1m", 1_000_000, all), scenario(t, "acl-10k", 256, all), scenario(t, "udp-1400b", 256, all),
		scenario(t, "iprewrite", 256, samples{ours: {50}}), scenario(t, "nvgre-encap", 256, all)}
	c, err := NewSummary(resultOf(some...))
	require.NoError(t, err)
	assert.Equal(t, []string{"sluice: 50", "Open vSwitch, default: 150   3.0×", "Open vSwitch, best of three: 140   2.8×   (SMC)", "testpmd io: 25"}, labels(c))
	c, err = NewSummary(resultOf(some[:4]...))
	require.NoError(t, err)
	assert.Len(t, c.groups, 4, "without anything to sum up, all is shown")
}

// The label of the longest bar ends before the chart does.
func TestLabelsHaveRoom(t *testing.T) {
	c, err := NewChart(resultOf(scenario(t, "nvgre-encap", 256, samples{ours: {50, 50}, ovs: {2000, 0}, noEMC: {1900, 0}, smc: {2000, 2000}})))
	require.NoError(t, err)
	assert.Greater(t, c.axisEnd(), 1.25*c.limit)
	for _, g := range c.groups {
		for i := range g.bars {
			g.bars[i].label = ""
		}
	}
	assert.Less(t, c.axisEnd(), 1.05*c.limit)
}

// Each contender has a colour of its own, and who is new does not borrow one.
func TestColoursDiffer(t *testing.T) {
	seen := map[series]string{}
	for _, c := range contenders {
		s := series{fill: c.fill}
		assert.Empty(t, seen[s], "%s has the colour of another", c.name)
		seen[s] = c.name
	}
	assert.Equal(t, stranger, lookUp("vpp").fill)
	assert.Equal(t, "vpp", lookUp("vpp").short)
}

func TestChartOfNothing(t *testing.T) {
	_, err := NewChart(resultOf())
	require.ErrorContains(t, err, "nobody moved a packet")
	_, err = Page(&Evidence{Compare: resultOf()}, "x", "y")
	require.ErrorContains(t, err, "nobody moved a packet")
}

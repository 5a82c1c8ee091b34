package cli

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	sluicev1 "github.com/sluicenet/sluice/api/sluice/v1"
)

// The first row of a vport with destinations is their sum, and weights are shown where somebody may give them.
func TestQoSOfDestinations(t *testing.T) {
	leaf := func(vport, to string, sent uint64) *sluicev1.SchedulerLeaf {
		return &sluicev1.SchedulerLeaf{Vport: vport, Destination: to, Weight: 10, Queues: []*sluicev1.SchedulerQueue{{SentPackets: sent, SentBytes: sent * 1000}}}
	}
	o := newQoSOutput(nil, &sluicev1.Scheduler{Port: "up0", PortKind: "uplink", Leaves: []*sluicev1.SchedulerLeaf{
		leaf("", "default", 1), leaf("vm", "", 2), leaf("vm", "near", 30), leaf("vm", "far", 400), leaf("plain", "", 5)}})
	require.NotNil(t, o.Leaves[1].all)
	assert.EqualValues(t, 432, o.Leaves[1].all.SentPackets)
	s := &Screen{}
	var got []string
	for i := range o.Leaves {
		for _, row := range o.Leaves[i].rows(s, false, false, false) {
			got = append(got, strings.Join([]string{row[0], row[1], row[3], row[7]}, " "))
		}
	}
	assert.Equal(t, []string{"(others) - weight 10 1", "vm (all) weight 10 432", "vm (elsewhere) - 2", "vm near - 30", "vm far - 400", "plain - weight 10 5"}, got)
	assert.Equal(t, []string{"(all)", "-", "-", "-"}, o.Leaves[0].rows(s, false, false, true)[0][:4])
}

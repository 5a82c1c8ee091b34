package agent

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPlanCores(t *testing.T) {
	for _, tc := range []struct {
		name    string
		allowed []int
		workers int
		pinned  []int
		want    Cores
		err     string
	}{
		{name: "one core serves both", allowed: []int{0}, want: Cores{Workers: []int{0}, Control: []int{0}}},
		{name: "two cores: the last polls", allowed: []int{0, 1}, want: Cores{Workers: []int{1}, Control: []int{0}}},
		{name: "half of four", allowed: []int{0, 1, 2, 3}, want: Cores{Workers: []int{2, 3}, Control: []int{0, 1}}},
		{name: "odd number", allowed: []int{0, 1, 2}, want: Cores{Workers: []int{2}, Control: []int{0, 1}}},
		{name: "bounded", allowed: seq(32), want: Cores{Workers: seq(32)[24:], Control: seq(24)}},
		{name: "number given", allowed: []int{0, 1, 2, 3}, workers: 3, want: Cores{Workers: []int{1, 2, 3}, Control: []int{0}}},
		{name: "cores given", allowed: []int{0, 1, 2, 3}, pinned: []int{2, 0}, want: Cores{Workers: []int{2, 0}, Control: []int{1, 3}}},
		{name: "all cores poll", allowed: []int{0, 1}, workers: 2, want: Cores{Workers: []int{0, 1}, Control: []int{0, 1}}},
		{name: "holes in the affinity", allowed: []int{1, 5, 6, 9}, want: Cores{Workers: []int{6, 9}, Control: []int{1, 5}}},
		{name: "too many", allowed: []int{0, 1}, workers: 3, err: "3 workers need a core each, and sluiced may use 2 (0-1)"},
		{name: "not allowed", allowed: []int{0, 1, 4}, pinned: []int{2}, err: "core 2 is not one that sluiced may use (0-1,4)"},
		{name: "twice", allowed: []int{0, 1}, pinned: []int{1, 1}, err: "core 1 is named twice"},
		{name: "disagree", allowed: []int{0, 1}, workers: 2, pinned: []int{1}, err: "names 1 cores for 2 workers"},
		{name: "none", err: "no CPU core may be used"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := PlanCores(tc.allowed, tc.workers, tc.pinned)
			if tc.err != "" {
				require.ErrorContains(t, err, tc.err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, tc.want, got)
		})
	}
}

func seq(n int) []int {
	s := make([]int, n)
	for i := range s {
		s[i] = i
	}
	return s
}

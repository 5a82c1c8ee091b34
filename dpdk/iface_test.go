package dpdk

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSpeedOfTheKernelsInterfaces(t *testing.T) {
	for name, tc := range map[string]struct {
		cmd  ethtoolCmd
		want uint32
	}{
		"with a carrier":             {ethtoolCmd{speed: 1000, supported: 1 << 12}, 1000},
		"over 65535":                 {ethtoolCmd{speed: 100_000 & 0xffff, speedHi: 1}, 100_000},
		"without, 1000baseT":         {ethtoolCmd{speed: 0xffff, speedHi: 0xffff, supported: 0x3f}, 1000},
		"without, 10GBASE-T":         {ethtoolCmd{speed: 0xffff, speedHi: 0xffff, supported: 1<<12 | 1<<5}, 10_000},
		"without, 25GBASE-CR":        {ethtoolCmd{supported: 1<<31 | 1<<19}, 25_000},
		"nothing told, as by virtio": {ethtoolCmd{speed: 0xffff, speedHi: 0xffff}, 0},
		"no modes, but a connector":  {ethtoolCmd{supported: 1<<7 | 1<<10 | 1<<13}, 0},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, tc.want, tc.cmd.mbit()) })
	}
}

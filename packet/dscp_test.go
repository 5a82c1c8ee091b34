package packet

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestSetDSCP(t *testing.T) {
	for dscp := range uint8(64) {
		for _, tos := range []uint8{0, 1, 3, 46 << 2, 0xff} {
			v4 := []byte{0x45, tos, 0, 20, 1, 2, 0x40, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2}
			sum := Checksum(v4, 0)
			v4[10], v4[11] = byte(sum>>8), byte(sum)
			SetDSCP4(v4, dscp)
			assert.Equal(t, dscp<<2|tos&3, v4[1], "ECN stays as it is")
			assert.Zero(t, Checksum(v4, 0))

			v6 := []byte{0x60 | tos>>4, tos<<4 | 0xa, 0xbc, 0xde}
			SetDSCP6(v6, dscp)
			assert.Equal(t, []byte{0x60 | dscp>>2, dscp<<6 | tos&3<<4 | 0xa, 0xbc, 0xde}, v6, "version, ECN and flow label stay as they are")
		}
	}
}

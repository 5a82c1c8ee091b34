package packet

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestECNEncapNormalMode(t *testing.T) {
	for inner := range uint8(4) {
		assert.Equal(t, inner, ECNEncap(inner))
		assert.Equal(t, inner, ECNEncap(0xfc|inner), "DSCP is not taken along")
	}
}

// RFC 6040, figure 4, written out: one row per inner, one column per outer.
func TestECNDecapTable(t *testing.T) {
	const drop = 0xff
	outers := []uint8{ECNNotECT, ECNECT0, ECNECT1, ECNCE}
	for inner, row := range map[uint8][]uint8{
		ECNNotECT: {ECNNotECT, ECNNotECT, ECNNotECT, drop},
		ECNECT0:   {ECNECT0, ECNECT0, ECNECT1, ECNCE},
		ECNECT1:   {ECNECT1, ECNECT1, ECNECT1, ECNCE},
		ECNCE:     {ECNCE, ECNCE, ECNCE, ECNCE},
	} {
		for i, outer := range outers {
			for _, dscp := range []uint8{0, 0xb8, 0xfc} {
				ecn, ok := ECNDecap(dscp|outer, ^dscp&0xfc|inner)
				assert.Equal(t, row[i] != drop, ok, "inner %02b outer %02b", inner, outer)
				if ok {
					assert.Equal(t, row[i], ecn, "inner %02b outer %02b", inner, outer)
				}
			}
		}
	}
}

func TestSetECN4(t *testing.T) {
	for from := range 256 {
		for to := range uint8(4) {
			f := IPv4Fields{TOS: uint8(from), TTL: 64, TotalLen: 20, ID: uint16(from * 257), Src: 0x0a000001, Dst: 0xffffff01}
			b := make([]byte, IPv4Len)
			f.Encode(b)
			SetECN4(b, to|0xfc)
			f.TOS = uint8(from)&^3 | to
			want := make([]byte, IPv4Len)
			f.Encode(want)
			require.Equal(t, want, b, "%#x -> %d", from, to)
		}
	}
}

// A wrong checksum stays exactly as wrong: it must not be repaired on the way.
func TestSetECN4KeepsCorruption(t *testing.T) {
	b := unhex(t, "4500 0073 0000 4000 4011 b862 c0a8 0001 c0a8 00c7")
	SetECN4(b, ECNCE)
	assert.Equal(t, ECNCE, IPv4(b).ECN())
	assert.False(t, IPv4(b).ChecksumOK())
}

func TestSetECN6(t *testing.T) {
	for tc := range 256 {
		for to := range uint8(4) {
			f := IPv6Fields{TrafficClass: uint8(tc), FlowLabel: 0xabcde, NextHeader: ProtoUDP, HopLimit: 64}
			b := make([]byte, IPv6Len)
			f.Encode(b)
			SetECN6(b, to|0xfc)
			assert.Equal(t, uint8(tc)&^3|to, IPv6(b).TrafficClass())
			assert.Equal(t, uint32(0xabcde), IPv6(b).FlowLabel())
			assert.Equal(t, byte(6), b[0]>>4)
		}
	}
}

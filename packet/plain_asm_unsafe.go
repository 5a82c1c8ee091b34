//go:build amd64

package packet

import "unsafe"

// parsePlainAsm is ParsePlain for n > 0 packets, n at most RxBurst.
//
//go:noescape
func parsePlainAsm(b *Burst, pkts **Packet, n int, among, seed, s1, s2, s3 uint64) (plain uint64, bytes uint64)

func (b *Burst) parsePlain(pkts []*Packet, among, seed uint64) (plain uint64, bytes uint64) {
	s1, s2, s3 := spread(seed)
	return parsePlainAsm(b, unsafe.SliceData(pkts), len(pkts), among, seed, s1, s2, s3)
}

// What the assembly takes for granted: an index out of range does not compile.
var (
	_ = [1]struct{}{}[unsafe.Offsetof(Burst{}.Key)]
	_ = [1]struct{}{}[unsafe.Offsetof(Burst{}.Hash)-2048]
	_ = [1]struct{}{}[unsafe.Offsetof(Burst{}.Scope)-2560]
	_ = [1]struct{}{}[unsafe.Offsetof(Burst{}.table)-3848]
	_ = [1]struct{}{}[unsafe.Offsetof(Burst{}.mask)-3856]
	_ = [1]struct{}{}[TablePlace-1<<6]
	_ = [1]struct{}{}[unsafe.Offsetof(Packet{}.BufAddr)]
	_ = [1]struct{}{}[unsafe.Offsetof(Packet{}.DataOff)-16]
	_ = [1]struct{}{}[unsafe.Offsetof(Packet{}.RefCnt)-18]
	_ = [1]struct{}{}[unsafe.Offsetof(Packet{}.NbSegs)-20]
	_ = [1]struct{}{}[unsafe.Offsetof(Packet{}.OlFlags)-24]
	_ = [1]struct{}{}[unsafe.Offsetof(Packet{}.PktLen)-36]
	_ = [1]struct{}{}[unsafe.Offsetof(Packet{}.DataLen)-40]
)

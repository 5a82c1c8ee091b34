//go:build amd64 && !race

package dataplane

import (
	"unsafe"

	"github.com/sluicenet/sluice/packet"
)

//go:noescape
func lookAsm(l *firstLook)

//go:noescape
func forwardAsm(r *row)

//go:noescape
func decapAsm(r *row)

//go:noescape
func encapsulateAsm(r *row)

//go:noescape
func rewriteAsm(r *row)

func (l *firstLook) look()  { lookAsm(l) }
func (r *row) forward()     { forwardAsm(r) }
func (r *row) decap()       { decapAsm(r) }
func (r *row) encapsulate() { encapsulateAsm(r) }
func (r *row) rewrite()     { rewriteAsm(r) }

// What the assembly takes for granted besides what go vet compares: an index out of range does not compile.
var (
	_ = [1]struct{}{}[unsafe.Sizeof(flow[packet.Key]{})-64]
	_ = [1]struct{}{}[unsafe.Offsetof(flow[packet.Key]{}.key)]
	_ = [1]struct{}{}[unsafe.Offsetof(flow[packet.Key]{}.packets)-32]
	_ = [1]struct{}{}[unsafe.Offsetof(flow[packet.Key]{}.bytes)-40]
	_ = [1]struct{}{}[unsafe.Offsetof(flow[packet.Key]{}.action)-48]
	_ = [1]struct{}{}[unsafe.Offsetof(flow[packet.Key]{}.seen)-52]
	_ = [1]struct{}{}[unsafe.Offsetof(flow[packet.Key]{}.epoch)-56]
	_ = [1]struct{}{}[unsafe.Offsetof(flow[packet.Key]{}.srcCell)-60]
	_ = [1]struct{}{}[unsafe.Offsetof(flow[packet.Key]{}.dstCell)-62]
	_ = [1]struct{}{}[unsafe.Offsetof(epochs{}.cells)]
	_ = [1]struct{}{}[unsafe.Sizeof(fastAction{})-64]
	_ = [1]struct{}{}[unsafe.Offsetof(fastAction{}.row)]
	_ = [1]struct{}{}[unsafe.Offsetof(fastAction{}.peer)-8]
	_ = [1]struct{}{}[unsafe.Offsetof(fastAction{}.sum)-12]
	_ = [1]struct{}{}[unsafe.Offsetof(fastAction{}.maxLen)-16]
	_ = [1]struct{}{}[unsafe.Offsetof(fastAction{}.delta)-18]
	_ = [1]struct{}{}[unsafe.Offsetof(fastAction{}.header)-20]
	_ = [1]struct{}{}[unsafe.Offsetof(packet.Burst{}.Key)]
	_ = [1]struct{}{}[unsafe.Offsetof(packet.Burst{}.Hash)-2048]
	_ = [1]struct{}{}[unsafe.Offsetof(packet.Burst{}.Outer)-3072]
	_ = [1]struct{}{}[unsafe.Sizeof(packet.Outer{})-12]
	_ = [1]struct{}{}[unsafe.Offsetof(packet.Outer{}.Src)]
	_ = [1]struct{}{}[unsafe.Offsetof(packet.Outer{}.TOS)-8]
	_ = [1]struct{}{}[unsafe.Offsetof(packet.Packet{}.BufAddr)]
	_ = [1]struct{}{}[unsafe.Offsetof(packet.Packet{}.DataOff)-16]
	_ = [1]struct{}{}[unsafe.Offsetof(packet.Packet{}.PktLen)-36]
	_ = [1]struct{}{}[unsafe.Offsetof(packet.Packet{}.DataLen)-40]
	_ = [1]struct{}{}[outerLen-42]
)

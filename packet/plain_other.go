//go:build !amd64

package packet

func (b *Burst) parsePlain(pkts []*Packet, among, seed uint64) (plain uint64, bytes uint64) {
	return b.parsePlainGo(pkts, among, seed)
}

package dpdk

// #cgo pkg-config: libdpdk
// #cgo CFLAGS: -O3 -Wall -Wextra -Wno-unused-parameter
// #include "layout.h"
import "C"

import (
	"unsafe"

	"github.com/sluicenet/sluice/packet"
)

// Each line below compiles only while both sides are equal: the negative of a non-zero uintptr constant overflows.
const (
	_ = -(unsafe.Offsetof(mbuf.BufAddr) ^ C.SLUICE_MBUF_BUF_ADDR)
	_ = -(unsafe.Offsetof(mbuf.BufIOVA) ^ C.SLUICE_MBUF_BUF_IOVA)
	_ = -(unsafe.Offsetof(mbuf.DataOff) ^ C.SLUICE_MBUF_DATA_OFF)
	_ = -(unsafe.Offsetof(mbuf.RefCnt) ^ C.SLUICE_MBUF_REFCNT)
	_ = -(unsafe.Offsetof(mbuf.NbSegs) ^ C.SLUICE_MBUF_NB_SEGS)
	_ = -(unsafe.Offsetof(mbuf.Port) ^ C.SLUICE_MBUF_PORT)
	_ = -(unsafe.Offsetof(mbuf.OlFlags) ^ C.SLUICE_MBUF_OL_FLAGS)
	_ = -(unsafe.Offsetof(mbuf.PacketType) ^ C.SLUICE_MBUF_PACKET_TYPE)
	_ = -(unsafe.Offsetof(mbuf.PktLen) ^ C.SLUICE_MBUF_PKT_LEN)
	_ = -(unsafe.Offsetof(mbuf.DataLen) ^ C.SLUICE_MBUF_DATA_LEN)
	_ = -(unsafe.Offsetof(mbuf.VLANTCI) ^ C.SLUICE_MBUF_VLAN_TCI)
	_ = -(unsafe.Offsetof(mbuf.RSSHash) ^ C.SLUICE_MBUF_RSS)
	_ = -(unsafe.Offsetof(mbuf.HashHigh) ^ C.SLUICE_MBUF_HASH_HIGH)
	_ = -(unsafe.Offsetof(mbuf.VLANTCIOuter) ^ C.SLUICE_MBUF_VLAN_TCI_OUTER)
	_ = -(unsafe.Offsetof(mbuf.BufLen) ^ C.SLUICE_MBUF_BUF_LEN)
	_ = -(unsafe.Offsetof(mbuf.Pool) ^ C.SLUICE_MBUF_POOL)
	_ = -(unsafe.Offsetof(mbuf.Next) ^ C.SLUICE_MBUF_NEXT)
	_ = -(unsafe.Offsetof(mbuf.TxOffload) ^ C.SLUICE_MBUF_TX_OFFLOAD)
	_ = -(unsafe.Offsetof(mbuf.ShInfo) ^ C.SLUICE_MBUF_SHINFO)
	_ = -(unsafe.Offsetof(mbuf.PrivSize) ^ C.SLUICE_MBUF_PRIV_SIZE)
	_ = -(unsafe.Offsetof(mbuf.TimeSync) ^ C.SLUICE_MBUF_TIMESYNC)
	_ = -(unsafe.Offsetof(mbuf.DynField) ^ C.SLUICE_MBUF_DYNFIELD)
	_ = -(unsafe.Sizeof(mbuf) ^ C.SLUICE_MBUF_SIZE)
	_ = -(uintptr(packet.Size) ^ C.SLUICE_MBUF_SIZE)

	_ = -(unsafe.Offsetof(exchange.TSC) ^ C.SLUICE_IO_TSC)
	_ = -(unsafe.Offsetof(exchange.RxBudget) ^ C.SLUICE_IO_RX_BUDGET)
	_ = -(unsafe.Offsetof(exchange.NumTxRuns) ^ C.SLUICE_IO_NB_TX_RUNS)
	_ = -(unsafe.Offsetof(exchange.NumTx) ^ C.SLUICE_IO_NB_TX)
	_ = -(unsafe.Offsetof(exchange.NumFree) ^ C.SLUICE_IO_NB_FREE)
	_ = -(unsafe.Offsetof(exchange.NumSpares) ^ C.SLUICE_IO_NB_SPARES)
	_ = -(unsafe.Offsetof(exchange.NumRxRuns) ^ C.SLUICE_IO_NB_RX_RUNS)
	_ = -(unsafe.Offsetof(exchange.NumRx) ^ C.SLUICE_IO_NB_RX)
	_ = -(unsafe.Offsetof(exchange.TxRuns) ^ C.SLUICE_IO_TX_RUNS)
	_ = -(unsafe.Offsetof(exchange.RxRuns) ^ C.SLUICE_IO_RX_RUNS)
	_ = -(unsafe.Offsetof(exchange.Rx) ^ C.SLUICE_IO_RX)
	_ = -(unsafe.Offsetof(exchange.Tx) ^ C.SLUICE_IO_TX)
	_ = -(unsafe.Offsetof(exchange.Free) ^ C.SLUICE_IO_FREE)
	_ = -(unsafe.Offsetof(exchange.Spares) ^ C.SLUICE_IO_SPARES)
	_ = -(unsafe.Sizeof(exchange) ^ C.SLUICE_IO_SIZE)

	_ = -(unsafe.Offsetof(txRun.Out) ^ C.SLUICE_TX_RUN_OUT)
	_ = -(unsafe.Offsetof(txRun.First) ^ C.SLUICE_TX_RUN_FIRST)
	_ = -(unsafe.Offsetof(txRun.Count) ^ C.SLUICE_TX_RUN_COUNT)
	_ = -(unsafe.Offsetof(txRun.Sent) ^ C.SLUICE_TX_RUN_SENT)
	_ = -(unsafe.Sizeof(txRun) ^ C.SLUICE_TX_RUN_SIZE)
	_ = -(unsafe.Offsetof(rxRun.Ref) ^ C.SLUICE_RX_RUN_REF)
	_ = -(unsafe.Offsetof(rxRun.First) ^ C.SLUICE_RX_RUN_FIRST)
	_ = -(unsafe.Offsetof(rxRun.Count) ^ C.SLUICE_RX_RUN_COUNT)
	_ = -(unsafe.Sizeof(rxRun) ^ C.SLUICE_RX_RUN_SIZE)

	_ = -(uintptr(packet.MaxRx) ^ C.SLUICE_MAX_RX)
	_ = -(uintptr(packet.RxBurst) ^ C.SLUICE_RX_BURST)
	_ = -(uintptr(packet.MaxSpares) ^ C.SLUICE_MAX_SPARES)
	_ = -(uintptr(packet.MaxTx) ^ C.SLUICE_MAX_TX)
	_ = -(uintptr(packet.MaxFree) ^ C.SLUICE_MAX_FREE)
	_ = -(uintptr(packet.MaxRxRuns) ^ C.SLUICE_MAX_RX_RUNS)
	_ = -(uintptr(packet.MaxTxRuns) ^ C.SLUICE_MAX_TX_RUNS)
	_ = -(uintptr(packet.Headroom) ^ C.SLUICE_HEADROOM)
)

// Never read: they only give the offsets above a type.
var (
	mbuf     packet.Packet
	exchange packet.IO
	txRun    packet.TxRun
	rxRun    packet.RxRun
)

/* Where C and Go agree on memory: the offsets of struct rte_mbuf (packet.Packet) and of the exchange area (packet.IO).
 * layout.c holds C to these numbers, layout.go holds Go to them, both when they are compiled. */
#ifndef SLUICE_LAYOUT_H
#define SLUICE_LAYOUT_H

#include <stdint.h>
#include <rte_mbuf.h>

enum {
	SLUICE_MAX_RX = 256,
	SLUICE_RX_BURST = 64,
	SLUICE_MAX_SPARES = 128,
	SLUICE_MAX_TX = 2 * SLUICE_MAX_RX,
	SLUICE_MAX_FREE = SLUICE_MAX_TX + SLUICE_MAX_RX,
	SLUICE_MAX_RX_RUNS = SLUICE_MAX_RX,
	SLUICE_MAX_TX_RUNS = SLUICE_MAX_TX,
	SLUICE_HEADROOM = 128,
};

struct sluice_tx_run {
	uint32_t out;
	uint16_t first;
	uint16_t count;
	uint16_t sent;
	uint16_t pad;
};

struct sluice_rx_run {
	uint32_t ref;
	uint16_t first;
	uint16_t count;
};

/* packet.IO, field by field. */
struct sluice_io {
	uint64_t tsc;
	uint32_t rx_budget;
	uint32_t nb_tx_runs;
	uint32_t nb_tx;
	uint32_t nb_free;
	uint32_t nb_spares;
	uint32_t nb_rx_runs;
	uint32_t nb_rx;
	uint32_t pad;
	struct sluice_tx_run tx_runs[SLUICE_MAX_TX_RUNS];
	struct sluice_rx_run rx_runs[SLUICE_MAX_RX_RUNS];
	struct rte_mbuf *rx[SLUICE_MAX_RX];
	struct rte_mbuf *tx[SLUICE_MAX_TX];
	struct rte_mbuf *free[SLUICE_MAX_FREE];
	struct rte_mbuf *spares[SLUICE_MAX_SPARES];
};

enum {
	SLUICE_MBUF_BUF_ADDR = 0,
	SLUICE_MBUF_BUF_IOVA = 8,
	SLUICE_MBUF_DATA_OFF = 16,
	SLUICE_MBUF_REFCNT = 18,
	SLUICE_MBUF_NB_SEGS = 20,
	SLUICE_MBUF_PORT = 22,
	SLUICE_MBUF_OL_FLAGS = 24,
	SLUICE_MBUF_PACKET_TYPE = 32,
	SLUICE_MBUF_PKT_LEN = 36,
	SLUICE_MBUF_DATA_LEN = 40,
	SLUICE_MBUF_VLAN_TCI = 42,
	SLUICE_MBUF_RSS = 44,
	SLUICE_MBUF_HASH_HIGH = 48,
	SLUICE_MBUF_VLAN_TCI_OUTER = 52,
	SLUICE_MBUF_BUF_LEN = 54,
	SLUICE_MBUF_POOL = 56,
	SLUICE_MBUF_NEXT = 64,
	SLUICE_MBUF_TX_OFFLOAD = 72,
	SLUICE_MBUF_SHINFO = 80,
	SLUICE_MBUF_PRIV_SIZE = 88,
	SLUICE_MBUF_TIMESYNC = 90,
	SLUICE_MBUF_DYNFIELD = 92,
	SLUICE_MBUF_SIZE = 128,

	SLUICE_IO_TSC = 0,
	SLUICE_IO_RX_BUDGET = 8,
	SLUICE_IO_NB_TX_RUNS = 12,
	SLUICE_IO_NB_TX = 16,
	SLUICE_IO_NB_FREE = 20,
	SLUICE_IO_NB_SPARES = 24,
	SLUICE_IO_NB_RX_RUNS = 28,
	SLUICE_IO_NB_RX = 32,
	SLUICE_IO_TX_RUNS = 40,
	SLUICE_IO_RX_RUNS = SLUICE_IO_TX_RUNS + 12 * SLUICE_MAX_TX_RUNS,
	SLUICE_IO_RX = SLUICE_IO_RX_RUNS + 8 * SLUICE_MAX_RX_RUNS,
	SLUICE_IO_TX = SLUICE_IO_RX + 8 * SLUICE_MAX_RX,
	SLUICE_IO_FREE = SLUICE_IO_TX + 8 * SLUICE_MAX_TX,
	SLUICE_IO_SPARES = SLUICE_IO_FREE + 8 * SLUICE_MAX_FREE,
	SLUICE_IO_SIZE = SLUICE_IO_SPARES + 8 * SLUICE_MAX_SPARES,

	SLUICE_TX_RUN_OUT = 0,
	SLUICE_TX_RUN_FIRST = 4,
	SLUICE_TX_RUN_COUNT = 6,
	SLUICE_TX_RUN_SENT = 8,
	SLUICE_TX_RUN_SIZE = 12,
	SLUICE_RX_RUN_REF = 0,
	SLUICE_RX_RUN_FIRST = 4,
	SLUICE_RX_RUN_COUNT = 6,
	SLUICE_RX_RUN_SIZE = 8,
};

#endif

#include <stddef.h>

#include "layout.h"

#define AT(type, field, offset) \
	_Static_assert(offsetof(type, field) == (offset), #type "." #field " is not where Go reads it")
#define SIZE(type, size) _Static_assert(sizeof(type) == (size), #type " is not as large as in Go")

AT(struct rte_mbuf, buf_addr, SLUICE_MBUF_BUF_ADDR);
AT(struct rte_mbuf, buf_iova, SLUICE_MBUF_BUF_IOVA);
AT(struct rte_mbuf, data_off, SLUICE_MBUF_DATA_OFF);
AT(struct rte_mbuf, refcnt, SLUICE_MBUF_REFCNT);
AT(struct rte_mbuf, nb_segs, SLUICE_MBUF_NB_SEGS);
AT(struct rte_mbuf, port, SLUICE_MBUF_PORT);
AT(struct rte_mbuf, ol_flags, SLUICE_MBUF_OL_FLAGS);
AT(struct rte_mbuf, packet_type, SLUICE_MBUF_PACKET_TYPE);
AT(struct rte_mbuf, pkt_len, SLUICE_MBUF_PKT_LEN);
AT(struct rte_mbuf, data_len, SLUICE_MBUF_DATA_LEN);
AT(struct rte_mbuf, vlan_tci, SLUICE_MBUF_VLAN_TCI);
AT(struct rte_mbuf, hash.rss, SLUICE_MBUF_RSS);
AT(struct rte_mbuf, hash.fdir.hi, SLUICE_MBUF_HASH_HIGH);
AT(struct rte_mbuf, vlan_tci_outer, SLUICE_MBUF_VLAN_TCI_OUTER);
AT(struct rte_mbuf, buf_len, SLUICE_MBUF_BUF_LEN);
AT(struct rte_mbuf, pool, SLUICE_MBUF_POOL);
AT(struct rte_mbuf, next, SLUICE_MBUF_NEXT);
AT(struct rte_mbuf, tx_offload, SLUICE_MBUF_TX_OFFLOAD);
AT(struct rte_mbuf, shinfo, SLUICE_MBUF_SHINFO);
AT(struct rte_mbuf, priv_size, SLUICE_MBUF_PRIV_SIZE);
AT(struct rte_mbuf, timesync, SLUICE_MBUF_TIMESYNC);
AT(struct rte_mbuf, dynfield1, SLUICE_MBUF_DYNFIELD);
SIZE(struct rte_mbuf, SLUICE_MBUF_SIZE);

AT(struct sluice_io, tsc, SLUICE_IO_TSC);
AT(struct sluice_io, rx_budget, SLUICE_IO_RX_BUDGET);
AT(struct sluice_io, nb_tx_runs, SLUICE_IO_NB_TX_RUNS);
AT(struct sluice_io, nb_tx, SLUICE_IO_NB_TX);
AT(struct sluice_io, nb_free, SLUICE_IO_NB_FREE);
AT(struct sluice_io, nb_spares, SLUICE_IO_NB_SPARES);
AT(struct sluice_io, nb_rx_runs, SLUICE_IO_NB_RX_RUNS);
AT(struct sluice_io, nb_rx, SLUICE_IO_NB_RX);
AT(struct sluice_io, tx_runs, SLUICE_IO_TX_RUNS);
AT(struct sluice_io, rx_runs, SLUICE_IO_RX_RUNS);
AT(struct sluice_io, rx, SLUICE_IO_RX);
AT(struct sluice_io, tx, SLUICE_IO_TX);
AT(struct sluice_io, free, SLUICE_IO_FREE);
AT(struct sluice_io, spares, SLUICE_IO_SPARES);
SIZE(struct sluice_io, SLUICE_IO_SIZE);

AT(struct sluice_tx_run, out, SLUICE_TX_RUN_OUT);
AT(struct sluice_tx_run, first, SLUICE_TX_RUN_FIRST);
AT(struct sluice_tx_run, count, SLUICE_TX_RUN_COUNT);
AT(struct sluice_tx_run, sent, SLUICE_TX_RUN_SENT);
SIZE(struct sluice_tx_run, SLUICE_TX_RUN_SIZE);
AT(struct sluice_rx_run, ref, SLUICE_RX_RUN_REF);
AT(struct sluice_rx_run, first, SLUICE_RX_RUN_FIRST);
AT(struct sluice_rx_run, count, SLUICE_RX_RUN_COUNT);
SIZE(struct sluice_rx_run, SLUICE_RX_RUN_SIZE);

_Static_assert(RTE_PKTMBUF_HEADROOM == SLUICE_HEADROOM, "packet.Headroom is not DPDK's headroom");
_Static_assert(RTE_MBUF_F_EXTERNAL == 1ULL << 61 && RTE_MBUF_F_INDIRECT == 1ULL << 62, "packet.Flag* differ");

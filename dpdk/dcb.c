/* Traffic classes of a device (IEEE 802.1Q) and priority flow control (802.1Qbb). */
#include <errno.h>
#include <string.h>

#include <rte_byteorder.h>
#include <rte_ether.h>

#include "dcb.h"

void sluice_dcb_configure(struct rte_eth_conf *conf, uint8_t classes)
{
	conf->rxmode.mq_mode = RTE_ETH_MQ_RX_DCB;
	conf->txmode.mq_mode = RTE_ETH_MQ_TX_DCB;
	conf->rx_adv_conf.dcb_rx_conf.nb_tcs = (enum rte_eth_nb_tcs)classes;
	conf->tx_adv_conf.dcb_tx_conf.nb_tcs = (enum rte_eth_nb_tcs)classes;
	for (uint8_t p = 0; p < SLUICE_PRIORITIES; p++) {
		conf->rx_adv_conf.dcb_rx_conf.dcb_tc[p] = sluice_dcb_tc(classes, p);
		conf->tx_adv_conf.dcb_tx_conf.dcb_tc[p] = sluice_dcb_tc(classes, p);
	}
	conf->dcb_capability_en = RTE_ETH_DCB_PG_SUPPORT | RTE_ETH_DCB_PFC_SUPPORT;
}

int sluice_pfc_known(uint16_t port)
{
	struct rte_eth_pfc_conf conf = {.fc.mode = RTE_ETH_FC_NONE};
	int ret = rte_eth_dev_priority_flow_ctrl_set(port, &conf);

	return ret != -ENOTSUP && ret != -ENOSYS && ret != -ENODEV;
}

int sluice_pfc_enable(uint16_t port, uint8_t priority)
{
	struct rte_eth_pfc_conf conf = {.priority = priority};
	int ret = rte_eth_dev_flow_ctrl_get(port, &conf.fc);

	if (ret < 0 && ret != -ENOTSUP)
		return ret;
	conf.fc.mode = RTE_ETH_FC_FULL;
	/* The driver's own thresholds are for one buffer; that of a class is a part of it. */
	for (ret = -EINVAL; ret == -EINVAL; conf.fc.high_water /= 2, conf.fc.low_water /= 2) {
		ret = rte_eth_dev_priority_flow_ctrl_set(port, &conf);
		if (conf.fc.high_water == 0)
			break;
	}
	return ret;
}

static uint8_t priority_of(const struct rte_mbuf *m)
{
	const struct rte_vlan_hdr *tag;
	const struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);

	if (m->data_len < sizeof(*eth) + sizeof(*tag))
		return 0;
	if (eth->ether_type != RTE_BE16(RTE_ETHER_TYPE_VLAN) && eth->ether_type != RTE_BE16(RTE_ETHER_TYPE_QINQ))
		return 0;
	tag = (const struct rte_vlan_hdr *)(eth + 1);
	return rte_be_to_cpu_16(tag->vlan_tci) >> 13;
}

/* A class that the other end pauses must not take along what stands behind it: what its queue has no room for is dropped
 * here, and counted, and the rest of the run goes on. */
static void tx_class(uint16_t port, struct sluice_dcb *dcb, uint8_t tc, struct rte_mbuf **bufs, uint16_t nb)
{
	uint16_t sent = 0, queue = dcb->queue[tc];

	rte_spinlock_lock(&dcb->locks[queue].lock);
	for (int round = 0; round < SLUICE_TX_ROUNDS && sent < nb; round++)
		sent += rte_eth_tx_burst(port, queue, bufs + sent, nb - sent);
	dcb->dropped[tc] += nb - sent;
	rte_spinlock_unlock(&dcb->locks[queue].lock);
	if (sent < nb)
		rte_pktmbuf_free_bulk(bufs + sent, nb - sent);
}

void sluice_dcb_tx(uint16_t port, struct sluice_dcb *dcb, struct rte_mbuf **bufs, uint16_t nb)
{
	for (uint16_t first = 0, end; first < nb; first = end) {
		uint8_t tc = dcb->tc_of[priority_of(bufs[first])];
		for (end = first + 1; end < nb && dcb->tc_of[priority_of(bufs[end])] == tc; end++)
			;
		tx_class(port, dcb, tc, bufs + first, end - first);
	}
}

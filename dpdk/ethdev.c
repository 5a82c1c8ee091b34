/* Bringing an ethdev port up and down: unions and static inlines of DPDK's headers that cgo cannot see. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_bus.h>
#include <rte_dev.h>

#include "ethdev.h"

#define DESCRIPTORS 1024

static int setup_queues(uint16_t port, struct sluice_ethdev_conf *conf, struct rte_eth_dev_info *info)
{
	uint16_t nb_rxd = DESCRIPTORS, nb_txd = DESCRIPTORS;
	int socket = rte_eth_dev_socket_id(port);
	int ret = rte_eth_dev_adjust_nb_rx_tx_desc(port, &nb_rxd, &nb_txd);

	conf->step = "set the number of descriptors";
	if (ret < 0)
		return ret;
	struct rte_eth_rxconf rxconf = info->default_rxconf;
	struct rte_eth_txconf txconf = info->default_txconf;
	/* Packets of several pools, shared and chained ones may come: no MBUF_FAST_FREE. */
	rxconf.offloads = 0;
	/* A packet of several segments must go out whole. */
	txconf.offloads = info->tx_offload_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	conf->step = "set up a receive queue";
	for (uint16_t q = 0; q < conf->rx_queues; q++)
		if ((ret = rte_eth_rx_queue_setup(port, q, nb_rxd, socket, &rxconf, conf->pool)) < 0)
			return ret;
	conf->step = "set up a transmit queue";
	for (uint16_t q = 0; q < conf->tx_queues; q++)
		if ((ret = rte_eth_tx_queue_setup(port, q, nb_txd, socket, &txconf)) < 0)
			return ret;
	return 0;
}

static int start(uint16_t port, struct sluice_ethdev_conf *conf)
{
	struct rte_eth_dev_info info;
	struct rte_eth_conf eth;
	int ret = rte_eth_dev_info_get(port, &info);

	conf->step = "ask the driver what it can do";
	if (ret < 0)
		return ret;
	if (conf->classes != 0) {
		conf->step = "get a queue for each class in both directions";
		if (RTE_MIN(info.max_rx_queues, info.max_tx_queues) < conf->classes)
			return -ENOTSUP;
		conf->rx_queues = conf->tx_queues = conf->classes;
	}
	conf->rx_queues = RTE_MIN(conf->rx_queues, info.max_rx_queues);
	conf->tx_queues = RTE_MIN(conf->tx_queues, info.max_tx_queues);
	conf->max_mtu = info.max_mtu;
	memset(&eth, 0, sizeof(eth));
	eth.txmode.offloads = info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	eth.intr_conf.rxq = conf->interrupts;
	uint64_t hash = info.flow_type_rss_offloads & (RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP);
	if (conf->classes != 0) {
		sluice_dcb_configure(&eth, conf->classes);
	} else if (conf->rx_queues > 1 && hash != 0) {
		eth.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		eth.rx_adv_conf.rss_conf.rss_hf = hash;
	}
	conf->step = "configure it";
	ret = rte_eth_dev_configure(port, conf->rx_queues, conf->tx_queues, &eth);
	if (ret < 0)
		return ret;
	if (conf->mtu != 0)
		conf->mtu_ret = rte_eth_dev_set_mtu(port, conf->mtu);
	ret = setup_queues(port, conf, &info);
	if (ret < 0)
		return ret;
	conf->step = "start it";
	ret = rte_eth_dev_start(port);
	if (ret < 0)
		return ret;
	if (conf->promiscuous) {
		conf->step = "make it promiscuous";
		ret = rte_eth_promiscuous_enable(port);
		if (ret == -ENOTSUP) /* a device without address filter */
			ret = 0;
	}
	return ret;
}

/* Drivers refuse interrupts where the way the NIC is bound gives too few of them: then they do without. */
int sluice_ethdev_start(uint16_t port, struct sluice_ethdev_conf *conf)
{
	if (conf->interrupts) {
		if (start(port, conf) == 0)
			return 0;
		rte_eth_dev_stop(port); /* where it started, and failed after */
		conf->interrupts = 0;
	}
	return start(port, conf);
}

int sluice_ethdev_socket(uint16_t port, uint16_t queue)
{
	const int *q = rte_eth_fp_ops[port].rxq.data[queue];

	return q != NULL ? *q : -1;
}

int sluice_ethdev_close(uint16_t port)
{
	struct rte_eth_dev_info info;
	int ret = rte_eth_dev_info_get(port, &info);

	if (ret < 0)
		return ret;
	rte_eth_dev_stop(port);
	ret = rte_eth_dev_close(port);
	int removed = rte_dev_remove(info.device);
	return ret < 0 ? ret : removed;
}

int sluice_ethdev_find(const char *name)
{
	uint16_t port;

	if (rte_eth_dev_get_port_by_name(name, &port) == 0)
		return port;
	RTE_ETH_FOREACH_DEV(port) {
		struct rte_eth_dev_info info;
		if (rte_eth_dev_info_get(port, &info) == 0 && strcmp(rte_dev_name(info.device), name) == 0)
			return port;
	}
	return -1;
}

/* The highest speed that a device can have, Mbit/s; 0 if it does not tell. */
static uint32_t top_speed(uint16_t port)
{
	static const struct { uint32_t flag, mbit; } speeds[] = {
		{RTE_ETH_LINK_SPEED_200G, 200000}, {RTE_ETH_LINK_SPEED_100G, 100000}, {RTE_ETH_LINK_SPEED_56G, 56000},
		{RTE_ETH_LINK_SPEED_50G, 50000}, {RTE_ETH_LINK_SPEED_40G, 40000}, {RTE_ETH_LINK_SPEED_25G, 25000},
		{RTE_ETH_LINK_SPEED_20G, 20000}, {RTE_ETH_LINK_SPEED_10G, 10000}, {RTE_ETH_LINK_SPEED_5G, 5000},
		{RTE_ETH_LINK_SPEED_2_5G, 2500}, {RTE_ETH_LINK_SPEED_1G, 1000}, {RTE_ETH_LINK_SPEED_100M, 100},
		{RTE_ETH_LINK_SPEED_10M, 10},
	};
	struct rte_eth_dev_info info;

	if (rte_eth_dev_info_get(port, &info) != 0)
		return 0;
	for (unsigned int i = 0; i < RTE_DIM(speeds); i++)
		if (info.speed_capa & speeds[i].flag)
			return speeds[i].mbit;
	return 0;
}

int sluice_ethdev_link(uint16_t port, uint32_t *speed_mbit)
{
	struct rte_eth_link link;

	*speed_mbit = 0;
	if (rte_eth_link_get_nowait(port, &link) < 0)
		return 0;
	if (link.link_speed != RTE_ETH_SPEED_NUM_UNKNOWN)
		*speed_mbit = link.link_speed;
	if (*speed_mbit == 0)
		*speed_mbit = top_speed(port);
	return link.link_status == RTE_ETH_LINK_UP;
}

struct sluice_txlock *sluice_txlocks_create(unsigned int n)
{
	struct sluice_txlock *locks = aligned_alloc(RTE_CACHE_LINE_SIZE, n * sizeof(*locks));

	for (unsigned int i = 0; locks != NULL && i < n; i++)
		rte_spinlock_init(&locks[i].lock);
	return locks;
}

struct sluice_dcb *sluice_dcb_create(void) { return calloc(1, sizeof(struct sluice_dcb)); }

struct sluice_tapq *sluice_tapqs_create(unsigned int n)
{
	struct sluice_tapq *q = aligned_alloc(RTE_CACHE_LINE_SIZE, n * sizeof(*q));

	if (q != NULL)
		memset(q, 0, n * sizeof(*q));
	return q;
}

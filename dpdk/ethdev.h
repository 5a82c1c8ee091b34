#ifndef SLUICE_ETHDEV_H
#define SLUICE_ETHDEV_H

#include "dcb.h"
#include "poll.h"

struct sluice_ethdev_conf {
	struct rte_mempool *pool;
	uint16_t rx_queues; /* in: wanted, out: given */
	uint16_t tx_queues;
	uint16_t mtu; /* 0: the driver's */
	uint16_t promiscuous;
	uint8_t classes; /* traffic classes of the device's own, each with a queue in both directions; 0: none */
	uint16_t interrupts; /* of receive queues, in: wanted, out: the driver was set up for them */
	/* out */
	uint16_t max_mtu;
	int mtu_ret; /* what setting the MTU returned */
	const char *step; /* what failed */
};

/* Configures and starts a port; the return value is DPDK's. */
int sluice_ethdev_start(uint16_t port, struct sluice_ethdev_conf *conf);
/* Whether a receive queue can wake a sleeping worker by an interrupt. */
bool sluice_ethdev_interrupts(uint16_t port, uint16_t queue);
/* Whether a receive queue tells what it holds. A packet that comes while its interrupt is off may never raise it. */
bool sluice_ethdev_counts(uint16_t port, uint16_t queue);
/* The socket of a queue of the af_packet driver, by what its private structure begins with: it is to be checked. */
int sluice_ethdev_socket(uint16_t port, uint16_t queue);
/* Stops and closes a port and removes its device from its bus. */
int sluice_ethdev_close(uint16_t port);
/* The port of a device by its name; -1 if there is none. */
int sluice_ethdev_find(const char *name);
/* 1 if the link is up; the speed is 0 where it is not known. */
int sluice_ethdev_link(uint16_t port, uint32_t *speed_mbit);
struct sluice_dcb *sluice_dcb_create(void);
struct sluice_txlock *sluice_txlocks_create(unsigned int n);
struct sluice_tapq *sluice_tapqs_create(unsigned int n);

#endif

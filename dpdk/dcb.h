#ifndef SLUICE_DCB_H
#define SLUICE_DCB_H

#include "poll.h"

enum { SLUICE_PRIORITIES = RTE_ETH_DCB_NUM_USER_PRIORITIES, SLUICE_MAX_TCS = RTE_ETH_DCB_NUM_TCS };

/* A port that runs with traffic classes of its own. A class of frames is the priority of their outermost tag, as it is for
 * the other end of the wire, which pauses priorities. */
struct sluice_dcb {
	uint8_t classes; /* 4 or 8 */
	uint8_t tc_of[SLUICE_PRIORITIES];
	uint16_t queue[SLUICE_MAX_TCS];   /* transmit queue of each class */
	struct sluice_txlock *locks;      /* by transmit queue: all workers send to all of them */
	uint64_t dropped[SLUICE_MAX_TCS]; /* packets that a class had no room for; under the lock of its queue */
};

/* The class of a priority where there are so many classes. */
static inline uint8_t sluice_dcb_tc(uint8_t classes, uint8_t priority)
{
	return RTE_MIN(priority, (uint8_t)(classes - 1));
}

/* Makes a device's configuration one with so many classes in both directions. */
void sluice_dcb_configure(struct rte_eth_conf *conf, uint8_t classes);
/* 1 if the driver has priority flow control. It turns it off for priority 0, as it is at first. */
int sluice_pfc_known(uint16_t port);
/* Lets a priority pause, and be paused. */
int sluice_pfc_enable(uint16_t port, uint8_t priority);
/* Sends frames by the queues of their priorities, and frees what these have no room for. */
void sluice_dcb_tx(uint16_t port, struct sluice_dcb *dcb, struct rte_mbuf **bufs, uint16_t nb);

#endif

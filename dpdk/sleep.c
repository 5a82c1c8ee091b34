/* How the driver of a NIC wakes a worker that sleeps: by the interrupts of its receive queues, each an event of an epoll
 * instance. They are off while the worker polls. */
#include <errno.h>

#include <rte_interrupts.h>

#include "ethdev.h"

#define EVENTS 16 /* taken at once; more of them wake again */

bool sluice_ethdev_interrupts(uint16_t port, uint16_t queue)
{
	if (rte_eth_dev_rx_intr_ctl_q_get_fd(port, queue) < 0)
		return false;
	int ret = rte_eth_dev_rx_intr_enable(port, queue);
	if (ret == -ENOTSUP) /* a descriptor that needs no arming */
		return true;
	return ret == 0 && rte_eth_dev_rx_intr_disable(port, queue) == 0;
}

bool sluice_ethdev_counts(uint16_t port, uint16_t queue)
{
	return rte_eth_rx_queue_count(port, queue) >= 0;
}

int sluice_intr_add(uint16_t port, uint16_t queue, int epfd)
{
	return rte_eth_dev_rx_intr_ctl_q(port, queue, epfd, RTE_INTR_EVENT_ADD, NULL);
}

void sluice_intr_remove(uint16_t port, uint16_t queue, int epfd)
{
	rte_eth_dev_rx_intr_ctl_q(port, queue, epfd, RTE_INTR_EVENT_DEL, NULL);
}

bool sluice_intr_arm(struct sluice_poller *p)
{
	for (uint32_t i = 0; i < p->nb_rxqs; i++) {
		const struct sluice_rxq *q = &p->rxqs[i];
		if (!q->interrupt)
			continue;
		rte_eth_dev_rx_intr_enable(q->port, q->queue);
		if (rte_eth_rx_queue_count(q->port, q->queue) > 0)
			return false;
	}
	return true;
}

void sluice_intr_disarm(struct sluice_poller *p)
{
	for (uint32_t i = 0; i < p->nb_rxqs; i++)
		if (p->rxqs[i].interrupt)
			rte_eth_dev_rx_intr_disable(p->rxqs[i].port, p->rxqs[i].queue);
}

void sluice_intr_clear(int epfd)
{
	struct rte_epoll_event events[EVENTS];

	rte_epoll_wait(epfd, events, EVENTS, 0);
}

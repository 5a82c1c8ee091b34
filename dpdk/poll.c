/* The poll call: transmit, free, refill, receive. Nothing here grows with the number of idle taps. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_malloc.h>
#include <rte_prefetch.h>

#include "dcb.h"
#include "poll.h"

static uint16_t tx_ethdev(const struct sluice_out *out, struct rte_mbuf **bufs, uint16_t nb)
{
	uint16_t sent = 0;

	if (out->lock != NULL)
		rte_spinlock_lock(&out->lock->lock);
	for (int round = 0; round < SLUICE_TX_ROUNDS && sent < nb; round++)
		sent += rte_eth_tx_burst(out->port, out->queue, bufs + sent, nb - sent);
	if (out->lock != NULL)
		rte_spinlock_unlock(&out->lock->lock);
	return sent;
}

static void tx_run(struct sluice_poller *p, struct sluice_tx_run *run)
{
	struct rte_mbuf **bufs = p->io.tx + run->first;
	const struct sluice_out *out = run->out < p->nb_outs ? &p->outs[run->out] : NULL;

	run->sent = 0;
	if (out != NULL && out->kind == SLUICE_OUT_ETHDEV) {
		run->sent = tx_ethdev(out, bufs, run->count);
		if (likely(run->sent == run->count))
			return;
		bufs += run->sent; /* the device owns those it took */
		rte_pktmbuf_free_bulk(bufs, run->count - run->sent);
		return;
	}
	if (out != NULL && out->kind == SLUICE_OUT_DCB) {
		sluice_dcb_tx(out->port, out->dcb, bufs, run->count);
		run->sent = run->count;
		return;
	}
	if (out != NULL && out->kind == SLUICE_OUT_TAP)
		run->sent = sluice_tap_tx(out->tapq, bufs, run->count);
	rte_pktmbuf_free_bulk(bufs, run->count);
}

/* Half empty spares are filled up, by halves when the pool runs low. */
static void refill_spares(struct sluice_poller *p)
{
	struct sluice_io *io = &p->io;
	uint32_t want = SLUICE_MAX_SPARES - io->nb_spares;

	if (likely(want < SLUICE_MAX_SPARES / 2))
		return;
	while (want > 0) {
		if (rte_pktmbuf_alloc_bulk(p->pool, io->spares + io->nb_spares, want) == 0) {
			io->nb_spares += want;
			return;
		}
		want /= 2;
	}
}

static void add_run(struct sluice_io *io, uint32_t ref, uint16_t count)
{
	struct sluice_rx_run *run = &io->rx_runs[io->nb_rx_runs++];

	run->ref = ref;
	run->first = io->nb_rx;
	run->count = count;
	io->nb_rx += count;
}

/* After so many packets the call ends with the round: more would not stay in the first-level cache. */
#define SLUICE_RX_ENOUGH 64

static void rx_ethdevs(struct sluice_poller *p, uint32_t budget)
{
	struct sluice_io *io = &p->io;
	uint32_t before = io->nb_rx, round = before;

	for (uint32_t n = 0; io->nb_rx < budget; n++) {
		if (n == p->nb_rxqs) { /* few queues: another round, so that a call is worth its price */
			if (io->nb_rx == round || io->nb_rx - before >= SLUICE_RX_ENOUGH)
				break;
			n = 0;
			round = io->nb_rx;
		}
		const struct sluice_rxq *q = &p->rxqs[p->next_rxq];
		if (unlikely(q->resting)) {
			if (++p->next_rxq == p->nb_rxqs)
				p->next_rxq = 0;
			continue;
		}
		struct rte_mbuf **bufs = io->rx + io->nb_rx;
		uint16_t room = RTE_MIN(budget - io->nb_rx, (uint32_t)SLUICE_RX_BURST);
		uint16_t got = rte_eth_rx_burst(q->port, q->queue, bufs, room);

		if (++p->next_rxq == p->nb_rxqs)
			p->next_rxq = 0;
		if (got == 0)
			continue;
		for (uint16_t i = 0; i < got; i++)
			rte_prefetch0((char *)bufs[i]->buf_addr + RTE_PKTMBUF_HEADROOM);
		add_run(io, q->ref, got);
	}
	p->ethdev_busy = io->nb_rx != before;
}

/* Readable taps are served in the order in which epoll names them; those named but not served come first next time.
 * epoll rotates the ones that stay readable, so none starves. */
static void rx_taps(struct sluice_poller *p, uint32_t budget)
{
	struct sluice_io *io = &p->io;
	bool asked = false;

	if (p->used_taps == 0)
		return;
	if (p->ethdev_busy && !p->taps_busy && p->turn % SLUICE_BUSY_POLLS != 0)
		return;
	p->taps_busy = false;
	while (io->nb_rx < budget) {
		if (p->next_event == p->nb_events) {
			if (asked)
				return;
			asked = true;
			p->next_event = 0;
			p->nb_events = epoll_wait(p->epfd, p->events, SLUICE_EVENTS, 0);
			if (p->nb_events <= 0) {
				p->nb_events = 0;
				return;
			}
		}
		p->taps_busy = true;
		const struct sluice_taprx *t = &p->taps[p->events[p->next_event++].data.u32];
		if (t->tapq == NULL || t->resting)
			continue;
		uint16_t room = RTE_MIN(budget - io->nb_rx, (uint32_t)SLUICE_RX_BURST);
		uint16_t got = sluice_tap_rx(p, t->tapq, io->rx + io->nb_rx, room);
		if (got > 0)
			add_run(io, t->ref, got);
	}
}

void sluice_poll(uintptr_t poller)
{
	struct sluice_poller *p = (struct sluice_poller *)poller;
	struct sluice_io *io = &p->io;
	uint32_t budget = RTE_MIN(io->rx_budget, (uint32_t)SLUICE_MAX_RX);

	for (uint32_t i = 0; i < io->nb_tx_runs; i++)
		tx_run(p, &io->tx_runs[i]);
	if (io->nb_free > 0) {
		rte_pktmbuf_free_bulk(io->free, io->nb_free);
		io->nb_free = 0;
	}
	refill_spares(p);

	io->nb_rx = 0;
	io->nb_rx_runs = 0;
	/* Whoever comes first may use up the budget, so they take turns. */
	if (p->turn++ & 1) {
		rx_taps(p, budget);
		rx_ethdevs(p, budget);
	} else {
		rx_ethdevs(p, budget);
		rx_taps(p, budget);
	}
	io->tsc = rte_rdtsc();
}

struct sluice_poller *sluice_poller_create(struct rte_mempool *pool, int epfd)
{
	struct sluice_poller *p = rte_zmalloc("sluice_poller", sizeof(*p), RTE_CACHE_LINE_SIZE);

	if (p == NULL)
		return NULL;
	p->pool = pool;
	p->epfd = epfd;
	return p;
}

/* Frees every packet the poller holds, also what a stopped worker left in the exchange area. */
void sluice_poller_destroy(struct sluice_poller *p)
{
	rte_pktmbuf_free_bulk(p->io.spares, p->io.nb_spares);
	rte_pktmbuf_free_bulk(p->io.free, p->io.nb_free);
	rte_pktmbuf_free(p->tap_mbuf);
	free(p->outs);
	free(p->rxqs);
	free(p->taps);
	rte_free(p);
}

int sluice_poller_add_rx_ethdev(struct sluice_poller *p, struct sluice_rxq q)
{
	struct sluice_rxq *all = realloc(p->rxqs, (p->nb_rxqs + 1) * sizeof(*all));

	if (all == NULL)
		return -ENOMEM;
	p->rxqs = all;
	all[p->nb_rxqs++] = q;
	return 0;
}

int sluice_poller_add_rx_tap(struct sluice_poller *p, struct sluice_tapq *tapq, uint32_t ref)
{
	uint32_t slot = 0;

	while (slot < p->nb_taps && p->taps[slot].tapq != NULL)
		slot++;
	if (slot == p->nb_taps) {
		struct sluice_taprx *t = realloc(p->taps, (slot + 1) * sizeof(*t));
		if (t == NULL)
			return -ENOMEM;
		p->taps = t;
		t[slot].tapq = NULL;
		p->nb_taps++;
	}
	struct epoll_event ev = {.events = EPOLLIN, .data.u32 = slot};
	if (epoll_ctl(p->epfd, EPOLL_CTL_ADD, tapq->fd, &ev) < 0)
		return -errno;
	p->taps[slot] = (struct sluice_taprx){.tapq = tapq, .ref = ref};
	p->used_taps++;
	return 0;
}

static void forget_events(struct sluice_poller *p, uint32_t slot)
{
	int kept = 0;

	for (int i = p->next_event; i < p->nb_events; i++)
		if (p->events[i].data.u32 != slot)
			p->events[kept++] = p->events[i];
	p->next_event = 0;
	p->nb_events = kept;
}

int sluice_poller_remove_rx(struct sluice_poller *p, uint32_t ref)
{
	for (uint32_t i = 0; i < p->nb_rxqs; i++) {
		if (p->rxqs[i].ref != ref)
			continue;
		memmove(&p->rxqs[i], &p->rxqs[i + 1], (--p->nb_rxqs - i) * sizeof(*p->rxqs));
		if (p->next_rxq > i)
			p->next_rxq--;
		if (p->next_rxq >= p->nb_rxqs)
			p->next_rxq = 0;
		return 0;
	}
	for (uint32_t slot = 0; slot < p->nb_taps; slot++) {
		if (p->taps[slot].tapq == NULL || p->taps[slot].ref != ref)
			continue;
		epoll_ctl(p->epfd, EPOLL_CTL_DEL, p->taps[slot].tapq->fd, NULL);
		p->taps[slot].tapq = NULL;
		p->used_taps--;
		forget_events(p, slot);
		return 0;
	}
	return -ENOENT;
}

void sluice_poller_rest_rx(struct sluice_poller *p, uint32_t ref, bool rest)
{
	for (uint32_t i = 0; i < p->nb_rxqs; i++)
		if (p->rxqs[i].ref == ref)
			p->rxqs[i].resting = rest;
	for (uint32_t slot = 0; slot < p->nb_taps; slot++)
		if (p->taps[slot].tapq != NULL && p->taps[slot].ref == ref)
			p->taps[slot].resting = rest;
}

int sluice_poller_set_tx(struct sluice_poller *p, uint32_t out, struct sluice_out to)
{
	if (out >= p->nb_outs) {
		struct sluice_out *outs = realloc(p->outs, (out + 1) * sizeof(*outs));
		if (outs == NULL)
			return -ENOMEM;
		memset(outs + p->nb_outs, 0, (out + 1 - p->nb_outs) * sizeof(*outs));
		p->outs = outs;
		p->nb_outs = out + 1;
	}
	p->outs[out] = to;
	return 0;
}

/* The one call of a loop iteration and what it works on. A poller belongs to one worker thread; only tap transmit
 * counters and the locks of ethdev transmit queues are touched by several. */
#ifndef SLUICE_POLL_H
#define SLUICE_POLL_H

#include <stdbool.h>
#include <sys/epoll.h>

#include <rte_ethdev.h>
#include <rte_mempool.h>
#include <rte_spinlock.h>

#include "layout.h"

enum {
	SLUICE_EVENTS = 64,    /* readable taps that one epoll_wait can name */
	SLUICE_TX_ROUNDS = 4,  /* bursts offered to a full transmit queue before the rest is dropped */
	SLUICE_BUSY_POLLS = 4, /* while ethdev queues deliver and taps are quiet, look at the taps every so many polls */
};

/* Lock of one ethdev transmit queue; taken only by workers that were told to share it. */
struct sluice_txlock {
	rte_spinlock_t lock;
} __rte_cache_aligned;

/* One queue of a tap: a file descriptor. Its rx fields have one writer, the poller that has it on its list. */
struct sluice_tapq {
	int fd;
	uint32_t dead; /* the interface is gone: nothing more can be read */
	uint64_t rx_packets;
	uint64_t rx_bytes;
	uint64_t rx_errors;  /* longer than an mbuf, or with an offload that was not granted */
	uint64_t rx_nombuf;
	uint64_t tx_packets __rte_cache_aligned;
	uint64_t tx_bytes;
	uint64_t tx_errors;
} __rte_cache_aligned;

struct sluice_rxq {
	uint32_t ref;
	uint16_t port;
	uint16_t queue;
	bool resting;   /* passed over */
	bool interrupt; /* can wake a sleeping worker */
};

struct sluice_taprx {
	struct sluice_tapq *tapq; /* NULL: slot is free */
	uint32_t ref;
	bool resting;
};

enum sluice_out_kind { SLUICE_OUT_NONE, SLUICE_OUT_ETHDEV, SLUICE_OUT_TAP, SLUICE_OUT_DCB };

struct sluice_dcb;

struct sluice_out {
	uint32_t kind;
	uint16_t port;
	uint16_t queue;
	struct sluice_txlock *lock; /* NULL: no other worker sends to this queue */
	struct sluice_tapq *tapq;
	struct sluice_dcb *dcb;
};

struct sluice_poller {
	struct sluice_io io;
	struct rte_mempool *pool;

	struct sluice_out *outs; /* by output number */
	uint32_t nb_outs;

	struct sluice_rxq *rxqs; /* ethdev queues, dense */
	uint32_t nb_rxqs;
	uint32_t next_rxq; /* where receiving goes on */

	struct sluice_taprx *taps; /* tap queues, by the slot that epoll reports */
	uint32_t nb_taps;
	uint32_t used_taps;
	int epfd;
	struct epoll_event events[SLUICE_EVENTS];
	int nb_events;
	int next_event; /* events before it are served */
	struct rte_mbuf *tap_mbuf; /* allocated for the next tap frame */

	uint32_t turn;
	bool ethdev_busy;
	bool taps_busy;
};

struct sluice_poller *sluice_poller_create(struct rte_mempool *pool, int epfd);
void sluice_poller_destroy(struct sluice_poller *p);
int sluice_poller_add_rx_ethdev(struct sluice_poller *p, struct sluice_rxq q);
int sluice_poller_add_rx_tap(struct sluice_poller *p, struct sluice_tapq *q, uint32_t ref);
int sluice_poller_remove_rx(struct sluice_poller *p, uint32_t ref);
void sluice_poller_rest_rx(struct sluice_poller *p, uint32_t ref, bool rest);
int sluice_poller_set_tx(struct sluice_poller *p, uint32_t out, struct sluice_out to);

/* The poller as an integer: a pointer would be checked by cgo on every call. */
void sluice_poll(uintptr_t poller);

/* sleep.c: interrupts of the queues on the list, for a worker that is going to sleep. */
int sluice_intr_add(uint16_t port, uint16_t queue, int epfd);
void sluice_intr_remove(uint16_t port, uint16_t queue, int epfd);
/* Lets the queues interrupt; false when one of them holds packets already. */
bool sluice_intr_arm(struct sluice_poller *p);
void sluice_intr_disarm(struct sluice_poller *p);
/* Takes what interrupts left in the epoll instance. */
void sluice_intr_clear(int epfd);

/* tap.c */
uint16_t sluice_tap_rx(struct sluice_poller *p, struct sluice_tapq *q, struct rte_mbuf **bufs, uint16_t nb);
uint16_t sluice_tap_tx(struct sluice_tapq *q, struct rte_mbuf **bufs, uint16_t nb);

#endif

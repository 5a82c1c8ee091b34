#ifndef SLUICE_HSCHED_H
#define SLUICE_HSCHED_H

#include <stdint.h>

#include <rte_mbuf.h>

struct rte_sched_port;

enum { SLUICE_SCHED_CLASSES = 8, SLUICE_SCHED_STRICT = 4, SLUICE_SCHED_BURST = 64 };

/* A port of librte_sched with packets to measure it by: one subport, a pipe for each vport. Classes 0 to 3 are strict, the
 * first foremost; 4 to 7 are the best-effort queues, by weight. A packet's vport is in vlan_tci_outer, its class in
 * vlan_tci. */
struct sluice_sched {
	struct rte_sched_port *port;
	struct rte_mempool *pool;
	struct rte_mbuf **pkts;
	uint32_t vports, nb_pkts;
};

/* What to do, and what came of it. */
struct sluice_sched_run {
	const uint8_t *classes;  /* that packets get in turn; NULL leaves each its own */
	uint32_t nb_classes, at; /* a power of two; the next one */
	uint64_t packets;        /* to move at least */
	uint64_t moved, cycles;
	uint64_t *served; /* by vport and class, or NULL */
};

/* 0 or a negative errno. */
int sluice_sched_new(struct sluice_sched *s, uint32_t vports, uint32_t nb_pkts, uint64_t rate, const uint8_t *weights);
void sluice_sched_free(struct sluice_sched *s);
/* Puts all packets in; -ENOBUFS if some were refused. */
int sluice_sched_fill(struct sluice_sched *s);
/* Takes all packets out again. */
void sluice_sched_empty(struct sluice_sched *s);
/* Takes packets out and puts them back. */
void sluice_sched_standing(struct sluice_sched *s, struct sluice_sched_run *r);
/* Puts a burst in and takes it out. */
void sluice_sched_drained(struct sluice_sched *s, struct sluice_sched_run *r);

#endif

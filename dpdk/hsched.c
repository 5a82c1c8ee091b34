#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_errno.h>
#include <rte_lcore.h>

/* Its header has functions in it that call experimental ones, which we do not. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
#include <rte_sched.h>
#pragma GCC diagnostic pop

#include "hsched.h"

enum { QUEUE_PACKETS = 64, DATA_ROOM = RTE_PKTMBUF_HEADROOM + 64, FRAME = 60, TOKENS = 1000000 };

static uint32_t power_of_two(uint32_t n)
{
	uint32_t p = 1;

	while (p < n)
		p <<= 1;
	return p;
}

static int configure(struct sluice_sched *s, uint64_t rate, const uint8_t *weights)
{
	struct rte_sched_subport_profile_params subport = { .tb_rate = rate, .tb_size = TOKENS, .tc_period = 10 };
	struct rte_sched_pipe_params pipe = { .tb_rate = rate, .tb_size = TOKENS, .tc_period = 40, .tc_ov_weight = 1 };
	struct rte_sched_subport_params sub = { .n_pipes_per_subport_enabled = power_of_two(s->vports), .pipe_profiles = &pipe,
		.n_pipe_profiles = 1, .n_max_pipe_profiles = 1 };
	struct rte_sched_port_params port = { .name = "sluice", .socket = (int)rte_lcore_to_socket_id(rte_get_main_lcore()), .rate = rate, .mtu = 1522,
		.frame_overhead = RTE_SCHED_FRAME_OVERHEAD_DEFAULT, .n_subports_per_port = 1, .subport_profiles = &subport,
		.n_subport_profiles = 1, .n_max_subport_profiles = 1, .n_pipes_per_subport = power_of_two(s->vports) };

	for (int i = 0; i < RTE_SCHED_TRAFFIC_CLASSES_PER_PIPE; i++) {
		subport.tc_rate[i] = pipe.tc_rate[i] = rate;
		sub.qsize[i] = QUEUE_PACKETS;
	}
	memcpy(pipe.wrr_weights, weights, sizeof(pipe.wrr_weights));
	s->port = rte_sched_port_config(&port);
	if (s->port == NULL)
		return -ENOMEM;
	int err = rte_sched_subport_config(s->port, 0, &sub, 0);

	for (uint32_t i = 0; i < sub.n_pipes_per_subport_enabled && err == 0; i++)
		err = rte_sched_pipe_config(s->port, 0, i, 0);
	return err;
}

int sluice_sched_new(struct sluice_sched *s, uint32_t vports, uint32_t nb_pkts, uint64_t rate, const uint8_t *weights)
{
	memset(s, 0, sizeof(*s));
	s->vports = vports;
	s->pool = rte_pktmbuf_pool_create("sluice_sched", nb_pkts, 0, 0, DATA_ROOM, SOCKET_ID_ANY);
	s->pkts = calloc(nb_pkts, sizeof(*s->pkts));
	int err = s->pool == NULL ? -rte_errno : s->pkts == NULL ? -ENOMEM : rte_pktmbuf_alloc_bulk(s->pool, s->pkts, nb_pkts);

	if (err == 0) {
		s->nb_pkts = nb_pkts;
		err = configure(s, rate, weights);
	}
	for (uint32_t i = 0; i < s->nb_pkts; i++)
		s->pkts[i]->pkt_len = s->pkts[i]->data_len = FRAME;
	if (err != 0)
		sluice_sched_free(s);
	return err;
}

void sluice_sched_free(struct sluice_sched *s)
{
	if (s->port != NULL)
		rte_sched_port_free(s->port);
	for (uint32_t i = 0; i < s->nb_pkts; i++)
		rte_pktmbuf_free(s->pkts[i]);
	free(s->pkts);
	rte_mempool_free(s->pool);
	memset(s, 0, sizeof(*s));
}

static inline void assign(struct sluice_sched *s, struct rte_mbuf *m)
{
	uint32_t class = m->vlan_tci;

	if (class < SLUICE_SCHED_STRICT)
		rte_sched_port_pkt_write(s->port, m, 0, m->vlan_tci_outer, class, 0, RTE_COLOR_GREEN);
	else
		rte_sched_port_pkt_write(s->port, m, 0, m->vlan_tci_outer, RTE_SCHED_TRAFFIC_CLASS_BE, class - SLUICE_SCHED_STRICT,
					 RTE_COLOR_GREEN);
}

static inline void assign_burst(struct sluice_sched *s, struct sluice_sched_run *r, struct rte_mbuf **pkts, int n)
{
	for (int i = 0; i < n; i++) {
		if (r->served != NULL)
			r->served[pkts[i]->vlan_tci_outer * SLUICE_SCHED_CLASSES + pkts[i]->vlan_tci]++;
		if (r->classes != NULL)
			pkts[i]->vlan_tci = r->classes[r->at++ & (r->nb_classes - 1)];
		assign(s, pkts[i]);
	}
}

int sluice_sched_fill(struct sluice_sched *s)
{
	int refused = 0;

	for (uint32_t i = 0; i < s->nb_pkts; i++) {
		assign(s, s->pkts[i]);
		rte_mbuf_refcnt_update(s->pkts[i], 1); /* so that a refused one is not lost */
		refused += rte_sched_port_enqueue(s->port, &s->pkts[i], 1) != 1;
	}
	for (uint32_t i = 0; i < s->nb_pkts; i++)
		if (rte_mbuf_refcnt_read(s->pkts[i]) > 1)
			rte_mbuf_refcnt_set(s->pkts[i], 1);
	return refused == 0 ? 0 : -ENOBUFS;
}

void sluice_sched_empty(struct sluice_sched *s)
{
	struct rte_mbuf *out[SLUICE_SCHED_BURST];
	uint64_t last = rte_rdtsc();

	while (rte_rdtsc() - last < rte_get_tsc_hz() / 100) /* it may pause for a rate's period */
		if (rte_sched_port_dequeue(s->port, out, SLUICE_SCHED_BURST) > 0)
			last = rte_rdtsc();
}

void sluice_sched_standing(struct sluice_sched *s, struct sluice_sched_run *r)
{
	struct rte_mbuf *out[SLUICE_SCHED_BURST];
	uint64_t moved = 0, start = rte_rdtsc();

	while (moved < r->packets) {
		int n = rte_sched_port_dequeue(s->port, out, SLUICE_SCHED_BURST);

		assign_burst(s, r, out, n);
		moved += rte_sched_port_enqueue(s->port, out, n);
	}
	r->cycles = rte_rdtsc() - start;
	r->moved = moved;
}

void sluice_sched_drained(struct sluice_sched *s, struct sluice_sched_run *r)
{
	struct rte_mbuf *out[SLUICE_SCHED_BURST];
	uint64_t moved = 0, start = rte_rdtsc();
	uint32_t at = 0;

	while (moved < r->packets) {
		assign_burst(s, r, s->pkts + at, SLUICE_SCHED_BURST);
		int left = rte_sched_port_enqueue(s->port, s->pkts + at, SLUICE_SCHED_BURST);

		moved += left;
		while (left > 0)
			left -= rte_sched_port_dequeue(s->port, out, left);
		at += SLUICE_SCHED_BURST;
		if (at + SLUICE_SCHED_BURST > s->nb_pkts)
			at = 0;
	}
	r->cycles = rte_rdtsc() - start;
	r->moved = moved;
}

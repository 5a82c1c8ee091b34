/* Reading and writing frames of a tap queue. Every frame is preceded by a virtio-net header, which says nothing as long
 * as the kernel was granted no offload. */
#include <errno.h>
#include <unistd.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <linux/virtio_net.h>

#include "poll.h"

#define VNET_HDR sizeof(struct virtio_net_hdr_mrg_rxbuf)
#define ETH_HDR 14
#define MAX_SEGS 64 /* segments of one frame that a write takes */

_Static_assert(sizeof(struct virtio_net_hdr_mrg_rxbuf) == 12, "size given to TUNSETVNETHDRSZ");
_Static_assert(RTE_PKTMBUF_HEADROOM >= 12, "the header is read into the headroom");

/* One writer, readers in other threads. */
#define COUNT(counter, n) __atomic_store_n(&(counter), (counter) + (n), __ATOMIC_RELAXED)
/* Several writers. */
#define ADD(counter, n) __atomic_fetch_add(&(counter), (n), __ATOMIC_RELAXED)

static bool frame_ok(const struct virtio_net_hdr_mrg_rxbuf *h, size_t len, size_t room)
{
	/* A read that fills the room was cut short: the kernel tells no more. */
	if (len == room || len < VNET_HDR + ETH_HDR)
		return false;
	return !(h->hdr.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) && h->hdr.gso_type == VIRTIO_NET_HDR_GSO_NONE;
}

/* Receives up to nb frames; ends early when the tap is empty. Bad frames count against nb too, so that the call is
 * bounded whatever a guest sends. */
uint16_t sluice_tap_rx(struct sluice_poller *p, struct sluice_tapq *q, struct rte_mbuf **bufs, uint16_t nb)
{
	uint16_t got = 0;
	uint64_t bytes = 0;

	for (uint16_t i = 0; i < nb; i++) {
		struct rte_mbuf *m = p->tap_mbuf;

		if (m == NULL) {
			m = p->tap_mbuf = rte_pktmbuf_alloc(p->pool);
			if (unlikely(m == NULL)) {
				COUNT(q->rx_nombuf, 1);
				break;
			}
		}
		uint8_t *base = rte_pktmbuf_mtod(m, uint8_t *) - VNET_HDR;
		size_t room = VNET_HDR + rte_pktmbuf_tailroom(m);
		ssize_t len = read(q->fd, base, room);

		if (len < 0) {
			if (errno == EAGAIN || errno == EINTR)
				break;
			/* The interface is gone. Left in the set, epoll would report it for ever. */
			COUNT(q->rx_errors, 1);
			__atomic_store_n(&q->dead, 1, __ATOMIC_RELAXED);
			epoll_ctl(p->epfd, EPOLL_CTL_DEL, q->fd, NULL);
			break;
		}
		if (unlikely(!frame_ok((const void *)base, len, room))) {
			COUNT(q->rx_errors, 1);
			continue;
		}
		m->data_len = len - VNET_HDR;
		m->pkt_len = m->data_len;
		bytes += m->pkt_len;
		bufs[got++] = m;
		p->tap_mbuf = NULL;
	}
	COUNT(q->rx_packets, got);
	COUNT(q->rx_bytes, bytes);
	return got;
}

static bool write_frame(int fd, const struct rte_mbuf *m)
{
	static const struct virtio_net_hdr_mrg_rxbuf plain;
	struct iovec iov[1 + MAX_SEGS];
	int n = 1;

	if (unlikely(m->nb_segs > MAX_SEGS))
		return false;
	iov[0] = (struct iovec){.iov_base = (void *)(uintptr_t)&plain, .iov_len = VNET_HDR};
	for (; m != NULL; m = m->next)
		iov[n++] = (struct iovec){.iov_base = rte_pktmbuf_mtod(m, void *), .iov_len = m->data_len};
	ssize_t r;
	do
		r = writev(fd, iov, n);
	while (r < 0 && errno == EINTR);
	return r >= 0;
}

/* Writes frames until one is refused; returns how many went. The caller frees all of them. The kernel takes writes of
 * several threads at once, so a shared queue needs no lock: holding one while the guest's stack runs would stall the
 * other worker. */
uint16_t sluice_tap_tx(struct sluice_tapq *q, struct rte_mbuf **bufs, uint16_t nb)
{
	uint16_t sent = 0;
	uint64_t bytes = 0;

	while (sent < nb && write_frame(q->fd, bufs[sent]))
		bytes += bufs[sent++]->pkt_len;
	ADD(q->tx_packets, sent);
	ADD(q->tx_bytes, bytes);
	if (unlikely(sent < nb))
		ADD(q->tx_errors, nb - sent);
	return sent;
}

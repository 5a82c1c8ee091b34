// Package dpdk is the only room that speaks C: the environment abstraction layer (eal.go), mempools, uplinks as ethdev
// ports, vports as tap ports, and the one call per loop iteration by which a worker sends and receives (poll.go, poll.c).
// It keeps DPDK's own names and is no larger than what the switch uses. It is written for DPDK 22.11.
//
// Order of life: Init, NewMempool, Open* and NewPoller, and back again: Poller.Close, Device.Close, Mempool.Close,
// Cleanup. A poller belongs to one worker thread; everything else may be called from any goroutine.
package dpdk

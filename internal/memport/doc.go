// Package memport gives tests ports made of memory: an arena of packets outside the Go heap, devices whose receive
// queues a test fills and whose sent frames it reads, and a Poller over them with the methods of dataplane.Poller.
// It needs no cgo, no hugepages and no NIC.
//
//	arena := memport.NewArena(4096, 2048)
//	net := memport.New(arena)
//	uplink, vm := net.Device(1, 1), net.Device(1, 1)
//	poller := net.Poller()     // give it to a worker, with uplink.Handle() and vm.Handle()
//	vm.Inject(0, frame)
//	net.WaitIdle(5*time.Second)
//	frames := uplink.Sent()
//
// One mutex, the arena's, guards everything, so a test and any number of workers may use it at once. Faults of the code
// under test panic with a message that names the packet: a packet freed twice, sent after it was freed, handed over
// with lengths that do not add up, or not covered by a transmit run.
package memport

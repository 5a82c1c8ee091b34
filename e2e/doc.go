// Package e2e tests the whole of sluice with real packets: sluiced processes in network namespaces, virtual machines as
// namespaces with a tap, ping, iperf3, raw sockets and captures of the wire, and Open vSwitch as a foreign peer.
//
// The tests need root, and are skipped without it. They run the sluiced and sluice of the directory that the environment
// variable SLUICE_BIN names, else they build them first.
package e2e

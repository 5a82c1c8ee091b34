// Package vmqsim drives the balancer of package dataplane/vmq, the very code that the daemon runs, with loads of many
// virtual machines on many cores, and compares what comes of it with a static assignment, with the rules that Open vSwitch
// publishes for its automatic load balancing, and with a bound that nobody can beat.
//
//	Load ──► demands of all queues, one step ──► contender ──► which worker polls which queue ──► Totals
//
// Time is simulated and random numbers are drawn from a seed: equal runs give equal results.
package vmqsim

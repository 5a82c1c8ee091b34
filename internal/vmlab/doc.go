// Package vmlab boots a small virtual machine for tests that need another kernel than the one they run on, or a PCI NIC.
//
//	build machine                                     guest: stock Debian kernel
//	/ (read-only, 9p) ──────────────────────────────► / with an overlay in memory: the same libraries and binaries
//	share: script, output, result (9p) ◄────────────► /lab
//	QMP socket ─────────────────────────────────────► QEMU: pull cables, add and remove devices
//
// An initrd of busybox and a few modules mounts these and runs the script; the machine then switches itself off. What the
// script returned stands in a file: a machine that broke down leaves none. QEMU ends with the test that started it.
package vmlab

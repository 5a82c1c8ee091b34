#ifndef SLUICE_EAL_H
#define SLUICE_EAL_H

#include <stddef.h>
#include <stdint.h>

/* DPDK's log, captured from the first line on: sluice_log_take moves what was written since the last call into buf,
 * and returns its length. */
int sluice_log_capture(void);
size_t sluice_log_take(char *buf, size_t size);

int sluice_errno(void);
uint64_t sluice_tsc_hz(void);

#endif

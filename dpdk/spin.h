#ifndef SLUICE_SPIN_H
#define SLUICE_SPIN_H

#include <stddef.h>
#include <stdint.h>

/* Waits by the time stamp counter, in turns of at least so many cycles, until cycles have passed, and counts the turns by
 * their length in the buckets of an HdrHistogram with a lowest value of 1 and two significant digits. Returns the cycles
 * that passed. */
uint64_t sluice_spin(uint64_t cycles, uint64_t turn, int64_t *counts, size_t nb_counts);
uint64_t sluice_tsc(void);

#endif

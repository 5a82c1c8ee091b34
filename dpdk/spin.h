#ifndef SLUICE_SPIN_H
#define SLUICE_SPIN_H

#include <stddef.h>
#include <stdint.h>

/* Reads the time stamp counter in a loop for so many cycles, and counts the time between two readings in the buckets of
 * an HdrHistogram with a lowest value of 1 and two significant digits. Returns the cycles that passed. */
uint64_t sluice_spin(uint64_t cycles, int64_t *counts, size_t nb_counts);
uint64_t sluice_tsc(void);

#endif

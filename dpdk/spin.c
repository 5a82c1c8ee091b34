#include <rte_cycles.h>

#include "spin.h"

enum { SUB_BUCKET_BITS = 8 }; /* 256 sub-buckets: two significant digits */

static inline size_t bucket(uint64_t v)
{
	unsigned int shift = 64 - __builtin_clzll(v | ((1u << SUB_BUCKET_BITS) - 1)) - SUB_BUCKET_BITS;

	return ((size_t)shift << (SUB_BUCKET_BITS - 1)) + (v >> shift);
}

uint64_t sluice_spin(uint64_t cycles, uint64_t turn, int64_t *counts, size_t nb_counts)
{
	uint64_t start = rte_rdtsc(), last = start;

	do {
		uint64_t now;

		do
			now = rte_rdtsc();
		while (now - last < turn);
		size_t i = bucket(now - last);

		counts[i < nb_counts ? i : nb_counts - 1]++;
		last = now;
	} while (last - start < cycles);
	return last - start;
}

uint64_t sluice_tsc(void)
{
	return rte_rdtsc();
}

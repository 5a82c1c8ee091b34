#define _GNU_SOURCE /* fopencookie */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_errno.h>
#include <rte_log.h>

#include "eal.h"

/* What does not fit is dropped: the first lines tell the cause, and a driver in trouble can repeat itself. */
static struct {
	pthread_mutex_t lock;
	size_t len;
	char text[16384];
} captured = {.lock = PTHREAD_MUTEX_INITIALIZER};

static ssize_t capture(void *cookie, const char *buf, size_t size)
{
	(void)cookie;
	pthread_mutex_lock(&captured.lock);
	size_t room = sizeof(captured.text) - captured.len;
	size_t n = size < room ? size : room;
	memcpy(captured.text + captured.len, buf, n);
	captured.len += n;
	pthread_mutex_unlock(&captured.lock);
	return size;
}

int sluice_log_capture(void)
{
	FILE *f = fopencookie(NULL, "w", (cookie_io_functions_t){.write = capture});

	if (f == NULL)
		return -1;
	setvbuf(f, NULL, _IOLBF, 0);
	return rte_openlog_stream(f);
}

size_t sluice_log_take(char *buf, size_t size)
{
	pthread_mutex_lock(&captured.lock);
	size_t n = captured.len < size ? captured.len : size;
	memcpy(buf, captured.text, n);
	captured.len = 0;
	pthread_mutex_unlock(&captured.lock);
	return n;
}

int sluice_errno(void)
{
	return rte_errno;
}

uint64_t sluice_tsc_hz(void)
{
	return rte_get_tsc_hz();
}

/* clock.c - time; see clock.h. */
#include "base/clock.h"

static int64_t wall_offset_us; /* set once at start, before threads */

uint64_t clock_mono_us(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

uint64_t clock_mono_ms(void)
{
	return clock_mono_us() / 1000;
}

int64_t clock_wall_us(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000 + wall_offset_us;
}

void clock_set_offset(int64_t seconds)
{
	wall_offset_us = seconds * 1000000;
}

int64_t clock_offset(void)
{
	return wall_offset_us / 1000000;
}

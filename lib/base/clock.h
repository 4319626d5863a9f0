/*
 * clock.h - the only source of time.  clock_mono never jumps and drives timers; clock_wall is what stands in headers,
 * logs and queue files.  A test instance shifts the wall clock by an offset that master hands out (start option
 * --clock-offset), so that five days pass in a test's seconds.
 */
#ifndef MERPATI_CLOCK_H
#define MERPATI_CLOCK_H

#include <time.h>

#include "base/base.h"

uint64_t clock_mono_ms(void); /* CLOCK_MONOTONIC, milliseconds */
uint64_t clock_mono_us(void);
int64_t clock_wall_us(void);	      /* UTC since 1970 in microseconds, with the offset */
static inline time_t clock_wall(void) /* the same in seconds */
{
	return (time_t)(clock_wall_us() / 1000000);
}
void clock_set_offset(int64_t seconds); /* added to the wall clock of this process; 0 outside tests */
int64_t clock_offset(void);

#endif

/* ub_loop.h - libunbound on our event loop: its "pluggable event base" (unbound-event.h) over lib/ev. */
#ifndef MERPATI_UB_LOOP_H
#define MERPATI_UB_LOOP_H

#include "ev/ev.h"

struct ub_event_base;

/* The base lives as long as the process. */
struct ub_event_base *ub_loop_new(struct ev *ev);

#endif

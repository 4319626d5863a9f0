/* ub_loop.h - libunbound on our event loop: its "pluggable event base" (unbound-event.h) over lib/ev. */
#ifndef MERPATI_UB_LOOP_H
#define MERPATI_UB_LOOP_H

#include "ev/ev.h"

struct ub_event_base;

struct ub_event_base *ub_loop_new(struct ev *ev);
void ub_loop_free(struct ub_event_base *base); /* after every context on it has gone */

#endif

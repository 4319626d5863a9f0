/* tickets.h - session ticket keys of one class of services: the newest encrypts, older ones decrypt until they expire.
 */
#ifndef MERPATI_KEYD_TICKETS_H
#define MERPATI_KEYD_TICKETS_H

#include "ipc/api_keyd.h"

/* Makes the first key, or a new one when the newest has been in use for half of `lifetime` seconds; drops expired ones.
 * True when something changed.  now: seconds since 1970. */
bool tickets_rotate(struct kd_tickets *t, int64_t now, uint64_t lifetime);

#endif

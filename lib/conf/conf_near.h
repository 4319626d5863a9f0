/* conf_near.h - the nearest known parameter name, for messages about an unknown one. */
#ifndef MERPATI_CONF_NEAR_H
#define MERPATI_CONF_NEAR_H

#include "base/sv.h"

/* NULL when none is near: at most two edits, or a fifth of the name's length. */
const char *conf_near(struct sv name);
/* Edits (insert, delete, replace, swap of neighbours) from a to b, at most `max` + 1.  For names up to CONF_NAME_MAX.
 */
unsigned conf_edit_distance(struct sv a, struct sv b, unsigned max);

#endif

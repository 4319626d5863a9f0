/* map_text.h - a source text held in memory; used by texthash and by lmdb tables that were never built. */
#ifndef MERPATI_MAP_TEXT_H
#define MERPATI_MAP_TEXT_H

#include "maps/map_kind.h"

int map_text_load(struct map_open *o, void **ctx, struct err *err);
int map_text_lookup(void *ctx, struct sv key, struct buf *value, struct err *err);
void map_text_close(void *ctx);

#endif

/*
 * wakeups.h - the post office for "something happened in your folder".  One inotify instance is lent to sessions, which
 * add watches as their own users; two sessions that watch one folder share its watch.  Whoever calls wake() is told
 * through the table's callback, at most once a turn of the loop (the caller's `turn` number).
 */
#ifndef MERPATI_ANVIL_WAKEUPS_H
#define MERPATI_ANVIL_WAKEUPS_H

#include "base/err.h"
#include "base/htable.h"
#include "base/sv.h"

struct wakeups;
struct watcher; /* one session */

/* fd: the inotify descriptor, kept the caller's; negative: without (tests).  wake(arg) tells one session. */
struct wakeups *wakeups_new(int fd, void (*wake)(void *arg));
void wakeups_free(struct wakeups **w);
/* account: its address, for wakeups_account. */
struct watcher *watcher_new(struct wakeups *w, struct sv account, void *arg);
void watcher_free(struct watcher **x);

/* The session got the descriptor; until watcher_set, or until WATCH_LEND_MS are over, no watch is taken away. */
#define WATCH_LEND_MS 5000
void watcher_lent(struct watcher *x, uint64_t now);
/* What it watches from now on.  0; ERR_TEMP when one of them was removed meanwhile (it then watches nothing). */
int watcher_set(struct watcher *x, const uint32_t *wd, size_t n);

void wakeups_account(struct wakeups *w, struct sv account, uint64_t turn);
void wakeups_event(struct wakeups *w, int wd, uint32_t mask, uint64_t turn); /* one inotify event */
void wakeups_sweep(struct wakeups *w, uint64_t now); /* takes away watches that nobody has, when none is lent */
size_t wakeups_watches(const struct wakeups *w);

#endif

/* wakeups.c - which session hears of which folder. */
#include "anvil/wakeups.h"

#include <sys/inotify.h>

#include "ipc/api_anvil.h"

#define REMOVED_KEPT 256 /* numbers of removed watches that a slow session may still name */

/* A session's place in a watch's list. */
struct place {
	struct place *prev, *next;
	struct watcher *who;
	struct watch *watch;
};

struct watch {
	UT_hash_handle hh;
	uint32_t wd;
	struct place *places;
};

struct account {
	UT_hash_handle hh;
	struct watcher *watchers;
	size_t len;
	char name[];
};

struct watcher {
	struct wakeups *w;
	struct watcher *prev, *next;	     /* of the account */
	struct watcher *all_prev, *all_next; /* of everybody */
	struct account *account;
	void *arg;
	uint64_t told; /* turn of the last wake-up */
	uint64_t lent; /* until when it may have the descriptor; 0: not */
	struct place place[AN_MAX_WATCHES];
	size_t n;
};

struct wakeups {
	int fd;
	void (*wake)(void *arg);
	struct watch *watches;
	struct account *accounts;
	struct watcher *all;
	size_t lent;
	bool unused; /* there are watches without a session */
	uint32_t removed[REMOVED_KEPT];
	size_t removed_at;
};

struct wakeups *wakeups_new(int fd, void (*wake)(void *arg))
{
	struct wakeups *w = xcalloc(1, sizeof(*w));

	w->fd = fd;
	w->wake = wake;
	return w;
}

static void forget_watch(struct wakeups *w, struct watch *x)
{
	w->removed[w->removed_at++ % REMOVED_KEPT] = x->wd;
	HASH_DEL(w->watches, x);
	free(x);
}

void wakeups_free(struct wakeups **wp)
{
	struct wakeups *w = *wp;

	if (!w)
		return;
	BUG_ON(w->all != NULL);
	while (w->watches)
		forget_watch(w, w->watches);
	free(w);
	*wp = NULL;
}

size_t wakeups_watches(const struct wakeups *w)
{
	return HASH_COUNT(w->watches);
}

static void end_lending(struct watcher *x)
{
	if (!x->lent)
		return;
	x->lent = 0;
	x->w->lent--;
}

static void leave_all(struct watcher *x)
{
	for (size_t i = 0; i < x->n; i++) {
		struct place *p = &x->place[i];

		DL_DELETE(p->watch->places, p);
		if (!p->watch->places)
			x->w->unused = true;
	}
	x->n = 0;
}

struct watcher *watcher_new(struct wakeups *w, struct sv account, void *arg)
{
	struct watcher *x = xcalloc(1, sizeof(*x));
	struct account *a = NULL;

	x->w = w;
	x->arg = arg;
	DL_APPEND2(w->all, x, all_prev, all_next);
	if (!account.n)
		return x;
	HASH_FIND(hh, w->accounts, account.p, account.n, a);
	if (!a) {
		a = xcalloc(1, sizeof(*a) + account.n);
		memcpy(a->name, account.p, account.n);
		a->len = account.n;
		HASH_ADD_KEYPTR(hh, w->accounts, a->name, a->len, a);
	}
	x->account = a;
	DL_APPEND(a->watchers, x);
	return x;
}

void watcher_free(struct watcher **xp)
{
	struct watcher *x = *xp;

	if (!x)
		return;
	end_lending(x);
	leave_all(x);
	DL_DELETE2(x->w->all, x, all_prev, all_next);
	if (x->account) {
		DL_DELETE(x->account->watchers, x);
		if (!x->account->watchers) {
			HASH_DEL(x->w->accounts, x->account);
			free(x->account);
		}
	}
	free(x);
	*xp = NULL;
}

void watcher_lent(struct watcher *x, uint64_t now)
{
	if (!x->lent)
		x->w->lent++;
	x->lent = now + WATCH_LEND_MS;
}

static bool was_removed(const struct wakeups *w, uint32_t wd)
{
	for (size_t i = 0; i < REMOVED_KEPT; i++)
		if (w->removed[i] == wd)
			return true;
	return false;
}

static struct watch *find_watch(struct wakeups *w, uint32_t wd)
{
	struct watch *x;

	HASH_FIND(hh, w->watches, &wd, sizeof(wd), x);
	return x;
}

int watcher_set(struct watcher *x, const uint32_t *wd, size_t n)
{
	struct wakeups *w = x->w;

	end_lending(x);
	leave_all(x);
	for (size_t i = 0; i < n && i < AN_MAX_WATCHES; i++) {
		struct watch *t = find_watch(w, wd[i]);

		if (!t && was_removed(w, wd[i])) {
			leave_all(x);
			return ERR_TEMP;
		}
		if (!t) {
			t = xcalloc(1, sizeof(*t));
			t->wd = wd[i];
			HASH_ADD_KEYPTR(hh, w->watches, &t->wd, sizeof(t->wd), t);
		}
		x->place[x->n] = (struct place){.who = x, .watch = t};
		DL_APPEND(t->places, &x->place[x->n]);
		x->n++;
	}
	return 0;
}

static void tell(struct wakeups *w, struct watcher *x, uint64_t turn)
{
	if (x->told == turn)
		return;
	x->told = turn;
	w->wake(x->arg);
}

void wakeups_account(struct wakeups *w, struct sv account, uint64_t turn)
{
	struct account *a = NULL;
	struct watcher *x;

	if (account.n)
		HASH_FIND(hh, w->accounts, account.p, account.n, a);
	if (a)
		for (x = a->watchers; x; x = x->next)
			tell(w, x, turn);
}

void wakeups_event(struct wakeups *w, int wd, uint32_t mask, uint64_t turn)
{
	struct watcher *x;
	struct place *p;
	struct watch *t;

	if (mask & IN_Q_OVERFLOW) { /* events were lost: everybody looks */
		for (x = w->all; x; x = x->all_next)
			tell(w, x, turn);
		return;
	}
	t = find_watch(w, (uint32_t)wd);
	if (t)
		for (p = t->places; p; p = p->next)
			tell(w, p->who, turn);
	if (mask & IN_IGNORED) { /* the folder is gone, or we took the watch away */
		if (!t)
			return;
		while (t->places) {
			struct watcher *who = t->places->who;

			leave_all(who); /* it asks anew when it was told */
		}
		forget_watch(w, t);
	} else if (!t && !w->lent && w->fd >= 0) {
		(void)inotify_rm_watch(w->fd, wd); /* of a session that ended before it could say so */
	}
}

void wakeups_sweep(struct wakeups *w, uint64_t now)
{
	struct watch *t, *next;
	struct watcher *x;

	if (w->lent)
		for (x = w->all; x; x = x->all_next)
			if (x->lent && x->lent <= now)
				end_lending(x);
	if (w->lent || !w->unused)
		return;
	w->unused = false;
	for (t = w->watches; t; t = next) {
		next = t->hh.next;
		if (t->places)
			continue;
		if (w->fd >= 0)
			(void)inotify_rm_watch(w->fd, (int)t->wd);
		forget_watch(w, t);
	}
}

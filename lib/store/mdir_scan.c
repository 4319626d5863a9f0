/* mdir_scan.c - what lies in new/ and cur/: one pass of getdents, no stat, no open. */
#include <dirent.h>
#include <fcntl.h>

#include "store/store_priv.h"

#define SCAN_BUFFER (64u << 10)

void snap_free(struct mb_snap *s)
{
	free(s->v);
	free(s->names);
	*s = (struct mb_snap){0};
}

struct sv snap_name(const struct mb_snap *s, const struct mb_msg *m)
{
	return sv_of(s->names + m->name_at, m->name_len);
}

int snap_set_name(struct mb_snap *s, struct mb_msg *m, struct sv name)
{
	if (name.n > MDIR_NAME_MAX || s->names_n + name.n > UINT32_MAX)
		return ERR_LIMIT;
	if (s->names_n + name.n > s->names_cap) {
		s->names_cap = (s->names_n + name.n) * 3 / 2 + 256;
		s->names = xrealloc(s->names, s->names_cap);
	}
	memcpy(s->names + s->names_n, name.p, name.n);
	m->name_at = (uint32_t)s->names_n;
	m->name_len = (uint16_t)name.n;
	s->names_n += name.n;
	return 0;
}

int snap_append(struct mb_snap *s, const struct mb_msg *m, struct sv name)
{
	if (s->n == STORE_MAX_MESSAGES)
		return ERR_LIMIT;
	if (s->n == s->cap) {
		s->cap = s->cap ? s->cap + s->cap / 2 + 16 : 32;
		s->v = xreallocarray(s->v, s->cap, sizeof(*s->v));
	}
	s->v[s->n] = *m;
	if (snap_set_name(s, &s->v[s->n], name))
		return ERR_LIMIT;
	s->n++;
	return 0;
}

static int snap_add(struct mb_snap *s, struct sv name, bool in_new, uint32_t uidvalidity)
{
	struct mb_msg m;
	struct mdir_name n;

	if (mdir_name_parse(name, &n))
		return 0; /* not a message */
	m = (struct mb_msg){
	    .uid = n.has_uid && n.uidvalidity == uidvalidity ? n.uid : 0,
	    .keywords = n.lower,
	    .flags = (uint8_t)mdir_flags(n.upper),
	    .bits = in_new ? MBI_NEW : 0,
	    .size = n.has_size ? n.size : UINT64_MAX,
	    .wsize = n.has_wsize ? n.wsize : UINT64_MAX,
	};
	return snap_append(s, &m, name);
}

int snap_scan(struct mb_snap *s, int dirfd, bool in_new, uint32_t uidvalidity, struct err *err)
{
	CLEANUP(freep) char *buf = xmalloc(SCAN_BUFFER);

	if (lseek(dirfd, 0, SEEK_SET) < 0)
		return err_sys(err, "folder");
	for (;;) {
		ssize_t n = getdents64(dirfd, buf, SCAN_BUFFER);

		if (n < 0)
			return err_sys(err, "folder");
		if (n == 0)
			return 0;
		for (ssize_t at = 0; at < n;) {
			const struct dirent64 *d = (const struct dirent64 *)(const void *)(buf + at);

			at += d->d_reclen;
			if (d->d_type != DT_REG && d->d_type != DT_UNKNOWN)
				continue;
			if (snap_add(s, sv_str(d->d_name), in_new, uidvalidity))
				return err_set(
				    err, ERR_LIMIT, "more than %u messages in one folder", STORE_MAX_MESSAGES);
		}
	}
}

/* uid 0 (none yet) becomes the greatest. */
static uint32_t sort_key(const struct mb_msg *m)
{
	return m->uid - 1;
}

static bool is_sorted(const struct mb_snap *s)
{
	for (size_t i = 1; i < s->n; i++)
		if (sort_key(&s->v[i - 1]) > sort_key(&s->v[i]))
			return false;
	return true;
}

/* One stable pass of a radix sort over RADIX_BITS of (key << 32 | place). */
#define RADIX_BITS 11
#define RADIX (1u << RADIX_BITS)
static void radix_pass(const uint64_t *from, uint64_t *to, size_t n, unsigned shift, uint32_t at[RADIX])
{
	uint32_t sum = 0;

	memset(at, 0, RADIX * sizeof(*at));
	for (size_t i = 0; i < n; i++)
		at[from[i] >> shift & (RADIX - 1)]++;
	for (size_t i = 0; i < RADIX; i++) {
		uint32_t count = at[i];

		at[i] = sum;
		sum += count;
	}
	for (size_t i = 0; i < n; i++)
		to[at[from[i] >> shift & (RADIX - 1)]++] = from[i];
}

/* Sorts small keys with the message's place, then moves each message once. */
void snap_sort(struct mb_snap *s)
{
	uint64_t *keys, *other;
	struct mb_msg *v;
	uint32_t *at;

	if (is_sorted(s))
		return;
	at = xreallocarray(NULL, RADIX, sizeof(*at)); /* not on the stack: an idle session would keep it */
	keys = xreallocarray(NULL, s->n, sizeof(*keys));
	other = xreallocarray(NULL, s->n, sizeof(*other));
	v = xreallocarray(NULL, s->cap, sizeof(*v));
	for (size_t i = 0; i < s->n; i++)
		keys[i] = (uint64_t)sort_key(&s->v[i]) << 32 | i;
	radix_pass(keys, other, s->n, 32, at);
	radix_pass(other, keys, s->n, 32 + RADIX_BITS, at);
	radix_pass(keys, other, s->n, 32 + 2 * RADIX_BITS, at);
	for (size_t i = 0; i < s->n; i++)
		v[i] = s->v[other[i] & UINT32_MAX];
	free(at);
	free(keys);
	free(other);
	free(s->v);
	s->v = v;
}

size_t snap_lower(const struct mb_snap *s, size_t n, uint32_t uid)
{
	size_t lo = 0, hi = n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (s->v[mid].uid < uid)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

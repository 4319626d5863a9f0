/*
 * grants.c - one-shot permissions to start a session.  auth makes them before it tells login that a password was right;
 * each is bound to one login process, used once, and forgotten after its lifetime.
 */
#include "master/master.h"

static bool same_key(const char *a, const char *b)
{
	unsigned char diff = 0;
	for (size_t i = 0; i < MA_GRANT_SIZE; i++)
		diff |= (unsigned char)(a[i] ^ b[i]);
	return diff == 0;
}

static void drop_expired(struct master *m)
{
	uint64_t now = clock_mono_ms();
	for (struct grant **at = &m->grants; *at != NULL;) {
		struct grant *g = *at;
		if (g->expires_ms > now) {
			at = &g->next;
			continue;
		}
		*at = g->next;
		m->ngrants--;
		free(g);
	}
}

/* auth is not root and may err: nobody is let in as a system user on its word. */
int grant_add(struct master *m, const struct ma_grant *in)
{
	const uint64_t longest_ms = 60000;
	struct sv service = in->service;

	drop_expired(m);
	if (m->ngrants >= GRANTS_MAX)
		return ERR_LIMIT;
	if ((!sv_eqs(service, "imapd") && !sv_eqs(service, "pop3d")) || in->uid < config_num(m, "first_valid_uid") ||
	    in->gid < config_num(m, "first_valid_gid") || in->uid > INT32_MAX || in->gid > INT32_MAX ||
	    in->folder.n == 0 || in->folder.p[0] != '/' || sv_find(in->folder, SV("/../")) >= 0 ||
	    sv_ends(in->folder, SV("/..")))
		return ERR_DENIED;
	struct grant *g = xcalloc(1, sizeof(*g));
	memcpy(g->key, in->grant.p, MA_GRANT_SIZE);
	g->login = in->login;
	g->uid = in->uid;
	g->gid = in->gid;
	g->expires_ms = clock_mono_ms() + (in->lifetime_ms < longest_ms ? in->lifetime_ms : longest_ms);
	snprintf(g->service, sizeof(g->service), SV_FMT, SV_ARG(service));
	snprintf(g->user, sizeof(g->user), SV_FMT, SV_ARG(in->user));
	snprintf(g->folder, sizeof(g->folder), SV_FMT, SV_ARG(in->folder));
	g->next = m->grants;
	m->grants = g;
	m->ngrants++;
	return 0;
}

struct grant *grant_take(struct master *m, struct sv key, uint64_t login)
{
	drop_expired(m);
	if (key.n != MA_GRANT_SIZE)
		return NULL;
	for (struct grant **at = &m->grants; *at != NULL; at = &(*at)->next) {
		struct grant *g = *at;
		if (!same_key(g->key, key.p))
			continue;
		*at = g->next; /* used up even when the wrong process shows it: then it has leaked */
		m->ngrants--;
		if (g->login == login)
			return g;
		log_error("session grant for %s shown by login process %llu, made for %llu: refused", g->user,
		    (unsigned long long)login, (unsigned long long)g->login);
		free(g);
		return NULL;
	}
	return NULL;
}

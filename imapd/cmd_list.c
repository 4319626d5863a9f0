/* cmd_list.c - LIST, LSUB, STATUS (RFC 3501 sections 6.3.8 to 6.3.10; RFC 6154 special use; RFC 3348 children). */
#include "imapd/imap.h"
#include "imapd/list_match.h"
#include "store/mbox_list.h"

static const char *const use_names[] = {
    [MBOX_USE_NONE] = "",
    [MBOX_USE_DRAFTS] = " \\Drafts",
    [MBOX_USE_SENT] = " \\Sent",
    [MBOX_USE_TRASH] = " \\Trash",
    [MBOX_USE_JUNK] = " \\Junk",
    [MBOX_USE_ARCHIVE] = " \\Archive",
};

static void put_entry(struct imap *s, const char *what, const char *attrs, const char *use, const char *name)
{
	buf_reset(&s->scratch);
	buf_printf(&s->scratch, "* %s (%s%s) \"%c\" ", what, attrs, use, MBOX_SEP);
	imap_put_astring(&s->scratch, sv_str(name));
	buf_adds(&s->scratch, "\r\n");
	imap_write(s, s->scratch.p, s->scratch.n);
}

static void list_entry(struct imap *s, const struct mbox_entry *e)
{
	char attrs[64];
	if (e->flags & MBOX_NONEXISTENT)
		return;
	snprintf(attrs, sizeof(attrs), "%s%s", e->flags & MBOX_NOSELECT ? "\\Noselect " : "",
	    e->flags & MBOX_CHILDREN ? "\\HasChildren" : "\\HasNoChildren");
	put_entry(s, "LIST", attrs, use_names[e->use], e->name);
}

/* Is a folder below this one subscribed?  The list is sorted by name. */
static bool subscribed_below(const struct mbox_list *list, size_t at)
{
	size_t len = strlen(list->v[at].name);
	for (size_t i = at + 1; i < list->n; i++) {
		const char *name = list->v[i].name;
		int c = strncmp(name, list->v[at].name, len);
		if (c != 0)
			return false;
		if (name[len] == MBOX_SEP && (list->v[i].flags & MBOX_SUBSCRIBED))
			return true;
	}
	return false;
}

static void lsub_entry(struct imap *s, const struct mbox_list *list, size_t i, bool percent)
{
	const struct mbox_entry *e = &list->v[i];
	if (e->flags & MBOX_SUBSCRIBED)
		put_entry(s, "LSUB", e->flags & MBOX_NOSELECT ? "\\Noselect" : "", "", e->name);
	else if (percent && subscribed_below(list, i))
		put_entry(s, "LSUB", "\\Noselect", "", e->name);
}

static void list(struct imap *s, struct imap_lex *l, bool lsub)
{
	struct sv reference, pattern;
	struct mbox_list all;
	struct err err;
	if (!imap_lex_sp(l) || !imap_lex_astring(l, &reference) || !imap_lex_sp(l) ||
	    !imap_lex_list_mailbox(l, &pattern) || reference.n + pattern.n > LIST_PATTERN_MAX) {
		imap_bad_arguments(s);
		return;
	}
	if (!imap_expect_end(s, l))
		return;
	const char *done = lsub ? "Lsub completed." : "List completed.";
	if (pattern.n == 0 && !lsub) { /* asks for the separator */
		put_entry(s, "LIST", "\\Noselect", "", "");
		imap_done(s, "OK", "%s", done);
		return;
	}
	char *p = arena_alloc(&s->arena, reference.n + pattern.n + 1);
	BUG_ON(p == NULL);
	if (reference.n > 0)
		memcpy(p, reference.p, reference.n);
	if (pattern.n > 0)
		memcpy(p + reference.n, pattern.p, pattern.n);
	struct sv full = sv_of(p, reference.n + pattern.n);
	if (mbox_list(s->store, &all, &err) != 0) {
		imap_fail(s, &err, "NONEXISTENT");
		return;
	}
	bool percent = pattern.n > 0 && pattern.p[pattern.n - 1] == '%';
	for (size_t i = 0; i < all.n; i++) {
		if (!list_match(full, sv_str(all.v[i].name), MBOX_SEP))
			continue;
		if (lsub)
			lsub_entry(s, &all, i, percent);
		else
			list_entry(s, &all.v[i]);
	}
	mbox_list_free(&all);
	imap_done(s, "OK", "%s", done);
}

void cmd_list(struct imap *s, struct imap_lex *l)
{
	list(s, l, false);
}

void cmd_lsub(struct imap *s, struct imap_lex *l)
{
	list(s, l, true);
}

enum { ST_MESSAGES, ST_RECENT, ST_UIDNEXT, ST_UIDVALIDITY, ST_UNSEEN, ST_N };
static const char *const status_names[ST_N] = {"MESSAGES", "RECENT", "UIDNEXT", "UIDVALIDITY", "UNSEEN"};

static bool take_status_items(struct imap_lex *l, unsigned *want)
{
	struct sv name;
	*want = 0;
	if (!imap_lex_sp(l) || !imap_lex_char(l, '('))
		return false;
	do {
		unsigned k = 0;
		if (!imap_lex_atom(l, &name))
			return false;
		while (k < ST_N && !sv_ieqs(name, status_names[k]))
			k++;
		if (k == ST_N)
			return false;
		*want |= 1u << k;
	} while (imap_lex_sp(l));
	return imap_lex_char(l, ')') && imap_lex_end(l);
}

void cmd_status(struct imap *s, struct imap_lex *l)
{
	struct sv name;
	struct mb_status st;
	struct err err;
	unsigned want;
	if (!imap_take_mailbox(s, l, &name))
		return;
	if (!take_status_items(l, &want)) {
		imap_bad_arguments(s);
		return;
	}
	if (mailbox_status(s->store, name, &st, &err) != 0) {
		imap_fail(s, &err, "NONEXISTENT");
		return;
	}
	const uint32_t values[ST_N] = {st.messages, st.recent, st.uidnext, st.uidvalidity, st.unseen};
	buf_reset(&s->scratch);
	buf_adds(&s->scratch, "* STATUS ");
	imap_put_astring(&s->scratch, name);
	bool first = true;
	for (unsigned k = 0; k < ST_N; k++) {
		if ((want >> k & 1) == 0)
			continue;
		buf_printf(&s->scratch, "%s%s %u", first ? " (" : " ", status_names[k], values[k]);
		first = false;
	}
	buf_adds(&s->scratch, ")\r\n");
	imap_write(s, s->scratch.p, s->scratch.n);
	imap_done(s, "OK", "Status completed.");
}

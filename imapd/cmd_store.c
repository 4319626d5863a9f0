/* cmd_store.c - STORE, COPY, MOVE, EXPUNGE (RFC 3501 section 6.4; RFC 4315; RFC 6851). */
#include "imapd/imap.h"

struct store_args {
	enum mb_op op;
	bool silent;
	unsigned flags;
	uint32_t keywords;
};

static const struct {
	const char *name;
	enum mb_op op;
	bool silent;
} store_items[] = {
    {"FLAGS", MB_SET, false},
    {"FLAGS.SILENT", MB_SET, true},
    {"+FLAGS", MB_ADD, false},
    {"+FLAGS.SILENT", MB_ADD, true},
    {"-FLAGS", MB_REMOVE, false},
    {"-FLAGS.SILENT", MB_REMOVE, true},
};

static bool take_store_item(struct imap_lex *l, struct store_args *a)
{
	struct sv name;
	if (!imap_lex_atom(l, &name))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(store_items); i++) {
		if (sv_ieqs(name, store_items[i].name)) {
			a->op = store_items[i].op;
			a->silent = store_items[i].silent;
			return imap_lex_sp(l);
		}
	}
	return false;
}

static void send_stored(struct imap *s, const struct imap_list *list, bool *missing)
{
	for (size_t i = 0; i < list->n; i++) {
		const struct mb_msg *m = mailbox_msg(s->mb, list->v[i]);
		if (m->flags & MB_GONE) {
			*missing = true;
			continue;
		}
		imap_printf(s, "* %u FETCH (", list->v[i] + 1);
		if (s->uid)
			imap_printf(s, "UID %u ", m->uid);
		imap_send_flags(s, list->v[i]);
		imap_writes(s, ")\r\n");
	}
}

void cmd_store(struct imap *s, struct imap_lex *l)
{
	struct store_args a = {0};
	struct imap_list list;
	struct sv set;
	struct err err;
	bool missing = false;
	if (!imap_lex_sp(l) || !imap_lex_set(l, &set) || !imap_lex_sp(l) || !take_store_item(l, &a)) {
		imap_bad_arguments(s);
		return;
	}
	if (mailbox_readonly(s->mb)) {
		imap_done(s, "NO", "[CANNOT] Mailbox is read-only");
		return;
	}
	if (imap_messages(s, set, &list) != 0)
		return;
	unsigned known = 0;
	for (unsigned k = 0; k < STORE_KEYWORDS; k++)
		known += mailbox_keyword_name(s->mb, k) != NULL;
	if (!imap_take_flags(s, l, s->mb, a.op != MB_REMOVE, &a.flags, &a.keywords) || !imap_expect_end(s, l))
		return;
	for (unsigned k = 0; k < STORE_KEYWORDS; k++)
		known -= mailbox_keyword_name(s->mb, k) != NULL;
	if (known != 0) /* new keywords: the client must hear of them before it sees them on a message */
		imap_send_flag_lists(s);
	if (list.n > 0 && mailbox_store(s->mb, list.v, list.n, a.op, a.flags, a.keywords, &err) != 0) {
		imap_fail(s, &err, "NONEXISTENT");
		return;
	}
	if (a.op != MB_REMOVE && (a.flags & MB_DELETED))
		s->stats.deleted += list.n;
	if (!a.silent)
		send_stored(s, &list, &missing);
	if (missing)
		imap_done(s, "NO", "[EXPUNGEISSUED] Some of the messages no longer exist.");
	else
		imap_done(s, "OK", "Store completed.");
}

void cmd_expunge(struct imap *s, struct imap_lex *l)
{
	struct imap_list list = {0};
	struct sv set = {0};
	struct err err;
	if (s->uid) {
		if (!imap_lex_sp(l) || !imap_lex_set(l, &set) || !imap_lex_end(l)) {
			imap_bad_arguments(s);
			return;
		}
	} else if (!imap_expect_end(s, l)) {
		return;
	}
	if (mailbox_readonly(s->mb)) {
		imap_done(s, "NO", "[CANNOT] Mailbox is read-only");
		return;
	}
	if (s->uid && imap_messages(s, set, &list) != 0)
		return;
	size_t before = mailbox_count(s->mb);
	if ((!s->uid || list.n > 0) && mailbox_expunge(s->mb, s->uid ? list.v : NULL, list.n, false, &err) != 0) {
		imap_fail(s, &err, "NONEXISTENT");
		return;
	}
	imap_sync(s, true);
	if (mailbox_count(s->mb) < before)
		s->stats.expunged += before - mailbox_count(s->mb);
	imap_reply(s, "OK", "Expunge completed.");
}

static void put_copyuid(struct imap *s, const struct mb_uidmap *map)
{
	buf_reset(&s->scratch);
	buf_printf(&s->scratch, "[COPYUID %u ", map->uidvalidity);
	imap_set_put(&s->scratch, map->src, map->n);
	buf_addc(&s->scratch, ' ');
	imap_set_put(&s->scratch, map->dst, map->n);
	buf_addc(&s->scratch, ']');
}

static void copy(struct imap *s, struct imap_lex *l, bool move)
{
	struct imap_list list;
	struct sv set, name;
	struct mailbox *dest = NULL;
	struct mb_uidmap map = {0};
	struct err err;
	if (!imap_lex_sp(l) || !imap_lex_set(l, &set)) {
		imap_bad_arguments(s);
		return;
	}
	if (!imap_take_mailbox(s, l, &name) || !imap_expect_end(s, l))
		return;
	if (move && mailbox_readonly(s->mb)) {
		imap_done(s, "NO", "[CANNOT] Mailbox is read-only");
		return;
	}
	if (imap_messages(s, set, &list) != 0)
		return;
	int r = mailbox_open(s->store, name, MB_NO_SCAN, &dest, &err);
	if (r == 0 && list.n > 0)
		r = move ? mailbox_move(s->mb, list.v, list.n, dest, &map, &err)
			 : mailbox_copy(s->mb, list.v, list.n, dest, &map, &err);
	if (map.n > 0)
		put_copyuid(s, &map);
	if (move && map.n > 0) {
		/* RFC 6851 section 4.3: before the EXPUNGEs. */
		imap_writes(s, "* OK ");
		imap_write(s, s->scratch.p, s->scratch.n);
		imap_writes(s, " Moved UIDs.\r\n");
		s->stats.expunged += map.n;
	}
	if (r != 0) {
		imap_fail(s, &err, "TRYCREATE");
	} else if (move || map.n == 0) {
		imap_done(s, "OK", move ? "Move completed." : "No messages copied.");
	} else {
		imap_sync(s, true);
		imap_write(s, s->tag.p, s->tag.n);
		imap_writes(s, " OK ");
		imap_write(s, s->scratch.p, s->scratch.n);
		imap_writes(s, " Copy completed.\r\n");
	}
	mb_uidmap_free(&map);
	mailbox_close(&dest);
}

void cmd_copy(struct imap *s, struct imap_lex *l)
{
	copy(s, l, false);
}

void cmd_move(struct imap *s, struct imap_lex *l)
{
	copy(s, l, true);
}

/* cmd_mailbox.c - SELECT, EXAMINE, CLOSE, UNSELECT, CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE. */
#include "imapd/imap.h"
#include "proto/imap_mutf7.h"
#include "store/mbox_list.h"

/* The session watches what it has open, so that IDLE hears of changes. */
static void watch(struct imap *s)
{
	char *paths[2];
	if (s->mb == NULL) {
		session_watch(s->zs, NULL, 0);
		return;
	}
	mailbox_watch_paths(s->mb, paths);
	session_watch(s->zs, paths, ARRAY_LEN(paths));
	free(paths[0]);
	free(paths[1]);
}

static void forget_mailbox(struct imap *s)
{
	mailbox_close(&s->mb);
	free(s->bodies);
	s->bodies = NULL;
}

static void send_selected(struct imap *s)
{
	size_t n = mailbox_count(s->mb), unseen = 0;
	while (unseen < n && (mailbox_msg(s->mb, unseen)->flags & MB_SEEN))
		unseen++;
	imap_send_flag_lists(s);
	imap_printf(s, "* %zu EXISTS\r\n* %zu RECENT\r\n", n, mailbox_recent(s->mb));
	if (unseen < n)
		imap_printf(s, "* OK [UNSEEN %zu] First unseen.\r\n", unseen + 1);
	imap_printf(s, "* OK [UIDVALIDITY %u] UIDs valid\r\n* OK [UIDNEXT %u] Predicted next UID\r\n",
	    mailbox_uidvalidity(s->mb), mailbox_uidnext(s->mb));
}

static void open_mailbox(struct imap *s, struct imap_lex *l, unsigned flags)
{
	struct sv name;
	struct err err;
	if (!imap_take_mailbox(s, l, &name) || !imap_expect_end(s, l))
		return;
	if (s->mb != NULL) { /* even when the new one cannot be opened: RFC 3501 section 6.3.1 */
		forget_mailbox(s);
		imap_writes(s, "* OK [CLOSED] Previous mailbox closed.\r\n");
	}
	if (mailbox_open(s->store, name, flags, &s->mb, &err) != 0) {
		watch(s);
		imap_fail(s, &err, "NONEXISTENT");
		return;
	}
	watch(s);
	send_selected(s);
	imap_reply(s, "OK", "[READ-%s] %s completed.", flags & MB_READONLY ? "ONLY" : "WRITE",
	    flags & MB_READONLY ? "Examine" : "Select");
}

void cmd_select(struct imap *s, struct imap_lex *l)
{
	open_mailbox(s, l, 0);
}

void cmd_examine(struct imap *s, struct imap_lex *l)
{
	open_mailbox(s, l, MB_READONLY);
}

void cmd_close(struct imap *s, struct imap_lex *l ATTR_UNUSED)
{
	struct err err;
	if (!mailbox_readonly(s->mb)) {
		size_t n = 0;
		for (size_t i = 0; i < mailbox_count(s->mb); i++)
			n += (mailbox_msg(s->mb, i)->flags & (MB_DELETED | MB_GONE)) == MB_DELETED;
		if (n > 0 && mailbox_expunge(s->mb, NULL, 0, false, &err) != 0) {
			imap_fail(s, &err, "NONEXISTENT");
			return;
		}
		s->stats.expunged += n;
	}
	forget_mailbox(s);
	watch(s);
	imap_reply(s, "OK", "Close completed.");
}

void cmd_unselect(struct imap *s, struct imap_lex *l ATTR_UNUSED)
{
	forget_mailbox(s);
	watch(s);
	imap_reply(s, "OK", "Unselect completed.");
}

/* A name that other clients could not show is not made. */
static bool name_ok(struct imap *s, struct sv name)
{
	CLEANUP(buf_freep) struct buf utf8 = BUF_INIT(4 * MBOX_NAME_MAX);
	if (imap_mutf7_decode(&utf8, name) == 0)
		return true;
	imap_done(s, "NO", "[CANNOT] Mailbox name is not valid modified UTF-7");
	return false;
}

void cmd_create(struct imap *s, struct imap_lex *l)
{
	struct sv name;
	struct err err;
	if (!imap_take_mailbox(s, l, &name) || !imap_expect_end(s, l) || !name_ok(s, name))
		return;
	if (mbox_create(s->store, name, &err) != 0)
		imap_fail(s, &err, "NONEXISTENT");
	else
		imap_done(s, "OK", "Create completed.");
}

bool imap_is_selected(const struct imap *s, struct sv name)
{
	char canonical[MBOX_NAME_MAX + 1];
	return s->mb != NULL && mbox_name_check(name, canonical, NULL) == 0 &&
	       strcmp(canonical, mailbox_name(s->mb)) == 0;
}

void cmd_delete(struct imap *s, struct imap_lex *l)
{
	struct sv name;
	struct err err;
	if (!imap_take_mailbox(s, l, &name) || !imap_expect_end(s, l))
		return;
	if (imap_is_selected(s, name)) {
		forget_mailbox(s);
		watch(s);
		imap_writes(s, "* OK [CLOSED] Mailbox closed.\r\n");
	}
	if (mbox_delete(s->store, name, &err) != 0)
		imap_fail(s, &err, "NONEXISTENT");
	else
		imap_done(s, "OK", "Delete completed.");
}

void cmd_rename(struct imap *s, struct imap_lex *l)
{
	struct sv from, to;
	struct err err;
	if (!imap_take_mailbox(s, l, &from) || !imap_take_mailbox(s, l, &to) || !imap_expect_end(s, l) ||
	    !name_ok(s, to))
		return;
	if (imap_is_selected(s, from) && !sv_ieqs(from, "INBOX")) {
		forget_mailbox(s);
		watch(s);
		imap_writes(s, "* OK [CLOSED] Mailbox closed.\r\n");
	}
	if (mbox_rename(s->store, from, to, &err) != 0)
		imap_fail(s, &err, "NONEXISTENT");
	else
		imap_done(s, "OK", "Rename completed.");
}

static void subscribe(struct imap *s, struct imap_lex *l, bool on)
{
	struct sv name;
	struct err err;
	if (!imap_take_mailbox(s, l, &name) || !imap_expect_end(s, l))
		return;
	if (mbox_subscribe(s->store, name, on, &err) != 0)
		imap_fail(s, &err, "NONEXISTENT");
	else
		imap_done(s, "OK", "%s completed.", on ? "Subscribe" : "Unsubscribe");
}

void cmd_subscribe(struct imap *s, struct imap_lex *l)
{
	subscribe(s, l, true);
}

void cmd_unsubscribe(struct imap *s, struct imap_lex *l)
{
	subscribe(s, l, false);
}

/* cmd_fetch.c - FETCH (RFC 3501 sections 6.4.5 and 7.4.2). */
#include <sys/stat.h>

#include "imapd/fetch.h"
#include "message/date.h"
#include "message/mime_tree.h"

struct fetch {
	struct view v;
	struct imap_items items;
	bool add_uid;
	bool has_flags;
	bool needs_summary; /* structure, envelope, or a part by number */
	bool needs_file;
	bool sets_seen;
	bool missing;	     /* a message was gone */
	bool failed;	     /* one could not be read */
	uint8_t *newly_seen; /* bitmap over the list */
};

/* Can this field list be answered from the summary alone? */
static bool from_summary(const struct imap_item *it)
{
	if (it->section != IMAP_SEC_FIELDS || it->npath > 0)
		return false;
	for (size_t i = 0; i < it->nfields; i++)
		if (!summary_has_field(it->fields[i]))
			return false;
	return true;
}

static void plan(struct fetch *f)
{
	bool has_uid = false;
	for (size_t i = 0; i < f->items.n; i++) {
		const struct imap_item *it = &f->items.v[i];
		switch (it->kind) {
		case IMAP_ITEM_UID: has_uid = true; break;
		case IMAP_ITEM_FLAGS: f->has_flags = true; break;
		case IMAP_ITEM_INTERNALDATE:
		case IMAP_ITEM_SIZE: break;
		case IMAP_ITEM_ENVELOPE:
		case IMAP_ITEM_BODY:
		case IMAP_ITEM_BODYSTRUCTURE: f->needs_summary = true; break;
		case IMAP_ITEM_SECTION:
			f->sets_seen |= !it->peek;
			f->needs_summary |= it->section != IMAP_SEC_ALL || it->npath > 0;
			f->needs_file |= !from_summary(it);
			break;
		}
	}
	f->add_uid = f->v.s->uid && !has_uid;
}

static void send_fields(struct fetch *f, const struct imap_item *it)
{
	struct view *v = &f->v;
	CLEANUP(buf_freep) struct buf out = BUF_INIT(FETCH_HEADER_MAX + 16);
	struct span span;
	if (from_summary(it) && (v->summary.flags & SUMMARY_F_FIELDS)) {
		fetch_filter_fields(it, v->summary.fields, &out);
	} else {
		if (fetch_resolve(&v->summary, it, &span) == 0) {
			imap_write(v->s, it->label.p, it->label.n);
			imap_writes(v->s, " NIL");
			return;
		}
		view_read(v, span.off, span.len);
		fetch_filter_fields(it, buf_sv(&v->text), &out);
	}
	fetch_send_text(v, it, buf_sv(&out));
}

/* All of the message: sizes are those of its name, unless the file is of another size (somebody has edited it). */
static struct span whole(struct view *v)
{
	const struct mb_msg *m = mailbox_msg(v->s->mb, v->i);
	struct stat st;
	if (fstat(v->fd, &st) == 0 && (uint64_t)st.st_size != m->size && view_rebuild(v) == 0)
		return (struct span){0, v->summary.size, v->summary.size_crlf};
	return (struct span){0, m->size, m->wsize};
}

static void send_section(struct fetch *f, const struct imap_item *it)
{
	struct view *v = &f->v;
	struct span span;
	if (it->section == IMAP_SEC_FIELDS || it->section == IMAP_SEC_FIELDS_NOT) {
		send_fields(f, it);
		return;
	}
	if (it->section == IMAP_SEC_ALL && it->npath == 0) {
		span = whole(v);
	} else if (fetch_resolve(&v->summary, it, &span) == 0) {
		imap_write(v->s, it->label.p, it->label.n);
		imap_writes(v->s, " NIL");
		return;
	}
	fetch_send_span(v, it, span);
}

static void send_date(struct fetch *f)
{
	char date[DATE_MAX];
	date_imap(date, mailbox_date(f->v.s->mb, f->v.i), 0);
	imap_printf(f->v.s, "INTERNALDATE \"%s\"", date);
}

static void send_item(struct fetch *f, const struct imap_item *it)
{
	struct imap *s = f->v.s;
	const struct mb_msg *m = mailbox_msg(s->mb, f->v.i);
	struct view *v = &f->v;
	switch (it->kind) {
	case IMAP_ITEM_UID:
		imap_write(s, "UID ", 4);
		imap_number(s, m->uid);
		break;
	case IMAP_ITEM_FLAGS: imap_send_flags(s, v->i); break;
	case IMAP_ITEM_INTERNALDATE: send_date(f); break;
	case IMAP_ITEM_SIZE: imap_printf(s, "RFC822.SIZE %llu", (unsigned long long)m->wsize); break;
	case IMAP_ITEM_ENVELOPE:
		imap_writes(s, "ENVELOPE ");
		imap_write(s, v->summary.envelope.p, v->summary.envelope.n);
		break;
	case IMAP_ITEM_BODYSTRUCTURE:
		imap_writes(s, "BODYSTRUCTURE ");
		imap_write(s, v->summary.bodystructure.p, v->summary.bodystructure.n);
		break;
	case IMAP_ITEM_BODY:
		buf_reset(&v->text);
		if (mime_body_of_structure(v->summary.bodystructure, &v->text) != 0 && view_rebuild(v) == 0)
			mime_body_of_structure(v->summary.bodystructure, &v->text);
		imap_writes(s, "BODY ");
		imap_write(s, v->text.p, v->text.n);
		break;
	case IMAP_ITEM_SECTION: send_section(f, it); break;
	}
}

/* Everything that can fail happens before the first byte of the answer. */
static int prepare(struct fetch *f)
{
	int r = 0;
	if (f->needs_summary)
		r = view_summary(&f->v);
	bool fields_cut = f->v.have_summary && !(f->v.summary.flags & SUMMARY_F_FIELDS);
	if (r == 0 && (f->needs_file || fields_cut))
		r = view_file(&f->v);
	return r;
}

static void fetch_one(struct fetch *f, size_t i, bool with_flags)
{
	struct imap *s = f->v.s;
	view_set(&f->v, i);
	int r = prepare(f);
	if (r != 0) {
		f->missing |= r == ERR_NOT_FOUND;
		f->failed |= r != ERR_NOT_FOUND;
		return;
	}
	imap_write(s, "* ", 2);
	imap_number(s, i + 1);
	imap_write(s, " FETCH (", 8);
	if (f->add_uid)
		imap_printf(s, "UID %u%s", mailbox_msg(s->mb, i)->uid, f->items.n > 0 || with_flags ? " " : "");
	for (size_t k = 0; k < f->items.n && !s->broken; k++) {
		if (k > 0)
			imap_writes(s, " ");
		send_item(f, &f->items.v[k]);
	}
	if (with_flags && !f->has_flags) {
		imap_writes(s, " ");
		imap_send_flags(s, i);
	}
	imap_writes(s, ")\r\n");
}

/* \Seen is set for all at once, before their flags are sent with them. */
static bool set_seen(struct fetch *f, const struct imap_list *list)
{
	struct imap *s = f->v.s;
	struct err err;
	if (!f->sets_seen || mailbox_readonly(s->mb))
		return true;
	uint32_t *idx = arena_alloc(&s->arena, (list->n ? list->n : 1) * sizeof(*idx));
	f->newly_seen = arena_alloc(&s->arena, list->n / 8 + 1);
	if (idx == NULL || f->newly_seen == NULL) {
		imap_done(s, "NO", "[LIMIT] Too many messages in one command");
		return false;
	}
	size_t n = 0;
	for (size_t i = 0; i < list->n; i++) {
		if (mailbox_msg(s->mb, list->v[i])->flags & (MB_SEEN | MB_GONE))
			continue;
		f->newly_seen[i / 8] |= (uint8_t)(1u << i % 8);
		idx[n++] = list->v[i];
	}
	if (n > 0 && mailbox_store(s->mb, idx, n, MB_ADD, MB_SEEN, 0, &err) != 0) {
		/* The mail can be read all the same. */
		log_warn("user=<%s>: %s", s->zs->user, err.text);
		f->newly_seen = NULL;
	}
	return true;
}

void cmd_fetch(struct imap *s, struct imap_lex *l)
{
	struct fetch f = {0};
	struct imap_list list;
	struct sv set;
	struct err err;
	if (!imap_lex_sp(l) || !imap_lex_set(l, &set) || !imap_lex_sp(l)) {
		imap_bad_arguments(s);
		return;
	}
	if (imap_items_parse(l, &f.items, &err) != 0) {
		imap_reply(s, "BAD", "%s", err.text);
		return;
	}
	if (imap_messages(s, set, &list) != 0)
		return;
	view_init(&f.v, s);
	plan(&f);
	if (set_seen(&f, &list)) {
		for (size_t i = 0; i < list.n && !s->broken; i++)
			fetch_one(&f, list.v[i], f.newly_seen != NULL && (f.newly_seen[i / 8] >> i % 8 & 1));
		if (f.failed)
			imap_done(s, "NO", "[SERVERBUG] Some messages could not be read");
		else if (f.missing)
			imap_done(s, "NO", "[EXPUNGEISSUED] Some of the requested messages no longer exist.");
		else
			imap_done(s, "OK", "Fetch completed.");
	}
	view_clear(&f.v);
}

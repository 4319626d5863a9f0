/* fetch_view.c - a message's file and summary; see fetch.h. */
#include "imapd/fetch.h"

#include "base/fsutil.h"

void view_init(struct view *v, struct imap *s)
{
	*v = (struct view){.s = s, .fd = -1};
	buf_init(&v->record, SUMMARY_LARGE_MAX);
	buf_init(&v->text, SUMMARY_LARGE_MAX);
}

void view_set(struct view *v, size_t i)
{
	fd_close(&v->fd);
	v->i = i;
	v->have_summary = false;
	buf_reset(&v->record);
	buf_reset(&v->text);
}

void view_clear(struct view *v)
{
	fd_close(&v->fd);
	buf_free(&v->record);
	buf_free(&v->text);
	free(v->block);
	v->block = NULL;
}

int view_file(struct view *v)
{
	struct err err;
	if (v->fd >= 0)
		return 0;
	int r = mailbox_body(v->s->mb, v->i, &err);
	if (r < 0) {
		if (r != ERR_NOT_FOUND)
			log_error("user=<%s>: %s", v->s->zs->user, err.text);
		return r;
	}
	v->fd = r;
	return 0;
}

int view_rebuild(struct view *v)
{
	struct err err;
	int r = view_file(v);
	if (r != 0)
		return r;
	v->have_summary = false;
	buf_reset(&v->record);
	if ((r = summary_of_fd(v->fd, &v->record, &err)) != 0 ||
	    (r = summary_decode(buf_sv(&v->record), &v->summary, &err)) != 0) {
		log_error("user=<%s>: uid %u: %s", v->s->zs->user, mailbox_msg(v->s->mb, v->i)->uid, err.text);
		return r;
	}
	mailbox_summary_put(v->s->mb, v->i, buf_sv(&v->record));
	v->have_summary = true;
	return 0;
}

int view_summary(struct view *v)
{
	const struct mb_msg *m = mailbox_msg(v->s->mb, v->i);
	if (v->have_summary)
		return 0;
	/* A stored one is believed when it is well formed and of a message of this size. */
	if (mailbox_summary_get(v->s->mb, v->i, &v->record) == 1 &&
	    summary_decode(buf_sv(&v->record), &v->summary, NULL) == 0 && v->summary.size == m->size) {
		v->have_summary = true;
		return 0;
	}
	return view_rebuild(v);
}

int view_read(struct view *v, uint64_t off, uint64_t len)
{
	struct err err;
	int r = view_file(v);
	buf_reset(&v->text);
	if (r != 0)
		return r;
	if (len > FETCH_HEADER_MAX)
		len = FETCH_HEADER_MAX;
	char *to = buf_reserve(&v->text, (size_t)len);
	if (to == NULL)
		return ERR_LIMIT;
	r = fs_pread_all(v->fd, to, (size_t)len, (off_t)off, &err);
	if (r == ERR_CORRUPT && view_rebuild(v) == 0) /* shorter than the summary said: nothing is shown this time */
		return 0;
	if (r != 0)
		return r;
	v->text.n = (size_t)len;
	return 0;
}

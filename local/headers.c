/* headers.c - the lines that are put before a filed message, and the check for mail that comes back. */
#include "local/coord.h"
#include "message/addr.h"
#include "message/hdr.h"

#define SCAN_MAX (64u << 10) /* bytes of header that are searched for Delivered-To */

/*
 * Collects the Delivered-To fields.  The header is only cut into lines here; a message that cannot be read is found out
 * by the one who files it.
 */
void job_read_loops(struct job *j)
{
	const struct mail_content *m = &j->d.env.content;
	struct hdr_field f;
	struct sv text;
	size_t n = 0;

	if (!j->c->scan)
		j->c->scan = xmalloc(SCAN_MAX);
	for (size_t i = 0; i < m->nheader && n < SCAN_MAX; i++) {
		size_t want = m->header[i].len < SCAN_MAX - n ? (size_t)m->header[i].len : SCAN_MAX - n;
		ssize_t r = pread(j->d.fd, j->c->scan + n, want, (off_t)m->header[i].at);

		if (r <= 0)
			break;
		n += (size_t)r;
	}
	text = sv_of(j->c->scan, n);
	while (j->nloop < COORD_LOOPS_MAX && hdr_next(&text, &f) == HDR_FIELD) {
		if (!sv_ieqs(f.name, "Delivered-To"))
			continue;
		if (f.value.n > 2 && f.value.p[0] == '<' && f.value.p[f.value.n - 1] == '>')
			f.value = sv_of(f.value.p + 1, f.value.n - 2);
		if (arena_sv(&j->arena, f.value, &j->loop[j->nloop]) == 0)
			j->nloop++;
	}
}

bool job_loops(const struct job *j, struct sv addr)
{
	CLEANUP(buf_freep) struct buf ext = BUF_INIT(3 * MAIL_ADDR_MAX);

	if (j->nloop == 0)
		return false;
	addr_external(&ext, addr);
	for (size_t i = 0; i < j->nloop; i++) {
		if (sv_ieq(j->loop[i], addr) || sv_ieq(j->loop[i], buf_sv(&ext)))
			return true;
	}
	return false;
}

/* An address on one line, whatever bytes stand in it. */
static void put_addr(struct buf *out, struct sv addr)
{
	size_t from = out->n;

	addr_external(out, addr);
	for (size_t i = from; i < out->n; i++) {
		if (out->p[i] == '\n' || out->p[i] == '\r' || out->p[i] == '\0')
			out->p[i] = '?';
	}
}

void head_lines(const struct rcpt *r, struct sv delivered, struct buf *out)
{
	const struct mail_rcpt *to = &r->in->rcpt;

	buf_adds(out, "Return-Path: <");
	put_addr(out, r->job->d.env.sender);
	buf_adds(out, ">\nX-Original-To: ");
	put_addr(out, to->orig.n > 0 ? to->orig : to->addr);
	buf_adds(out, "\n");
	if (delivered.n == 0)
		return;
	buf_adds(out, "Delivered-To: ");
	put_addr(out, delivered);
	buf_adds(out, "\n");
}

void from_line(const struct rcpt *r, struct buf *out)
{
	time_t now = clock_wall();
	struct tm tm;
	char date[40];

	if (!localtime_r(&now, &tm) || strftime(date, sizeof(date), "%a %b %e %H:%M:%S %Y", &tm) == 0)
		snprintf(date, sizeof(date), "Thu Jan  1 00:00:00 1970");
	buf_adds(out, "From ");
	if (r->job->d.env.sender.n == 0)
		buf_adds(out, "MAILER-DAEMON");
	else
		put_addr(out, r->job->d.env.sender);
	buf_printf(out, "  %s", date);
}

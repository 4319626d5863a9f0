/*
 * content.c - a message into its spool descriptor; see content.h.  The header is scanned in place in the gather buffer:
 * what stands before `scan` was looked at and may be written.
 */
#include "smtpd/content.h"

#include "ipc/api_cleanup.h"
#include "message/date.h"
#include "message/hdr.h"
#include "message/msgid.h"
#include "message/received.h"
#include "message/summary.h"
#include "proto/smtp_path.h"

enum {
	HAS_DATE = 1,
	HAS_MSGID = 2,
	HAS_FROM = 4,
	HAS_RESENT = 8,
	HAS_RESENT_DATE = 16,
	HAS_RESENT_MSGID = 32,
	HAS_RESENT_FROM = 64
};
#define EXTRA_MAX (8u << 10) /* bytes that completing a header may add */

struct content {
	const struct content_conf *conf;
	struct content_start start;
	int fd;
	struct buf buf;	  /* gathered, not yet written */
	size_t scan;	  /* header only: bytes of buf that were looked at */
	uint64_t written; /* bytes already in the file, counted from CL_CONTENT_START */
	uint64_t header_end;
	uint64_t received_bytes; /* of the client's content */
	size_t before;		 /* buf.n when the caller began to append */
	bool in_body, first_line, mid_line, dropping, too_large;
	unsigned hops, has;
	int failed; /* errno of a failed write */
	char msgid[CONTENT_MSGID_MAX + 1];
	struct summary_builder *summary;
	struct buf record;
};

struct content *content_new(const struct content_conf *conf, const struct content_start *start, int fd)
{
	struct content *c = xcalloc(1, sizeof(*c));

	c->conf = conf;
	c->start = *start;
	c->fd = fd;
	c->first_line = true;
	buf_init(&c->buf, CONTENT_PIECE + EXTRA_MAX + start->received.n);
	buf_init(&c->record, MAIL_SUMMARY_MAX);
	buf_addsv(&c->buf, start->received);
	c->scan = c->before = c->buf.n;
	c->hops = 1;
	if (start->summary)
		c->summary = summary_builder_new();
	return c;
}

void content_free(struct content **c)
{
	if (*c == NULL)
		return;
	buf_free(&(*c)->buf);
	buf_free(&(*c)->record);
	summary_builder_free(&(*c)->summary);
	free(*c);
	*c = NULL;
}

static void write_out(struct content *c, size_t n)
{
	size_t done = 0;

	while (done < n && !c->failed && !c->too_large) {
		ssize_t w = write(c->fd, c->buf.p + done, n - done);
		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0) {
			c->failed = w < 0 ? errno : EIO;
			break;
		}
		done += (size_t)w;
	}
	if (c->summary != NULL && !c->too_large)
		summary_builder_feed(c->summary, sv_of(c->buf.p, n));
	c->written += n;
	buf_consume(&c->buf, n);
	c->scan = c->scan > n ? c->scan - n : 0;
}

struct buf *content_buf(struct content *c)
{
	return &c->buf;
}

size_t content_room(struct content *c)
{
	/* The room for added fields stays free. */
	return c->buf.n + 16 >= CONTENT_PIECE ? 16 : CONTENT_PIECE - c->buf.n;
}

/* Puts text before position `at` of the buffer. */
static void insert(struct content *c, size_t at, struct sv text)
{
	size_t tail = c->buf.n - at;

	if (text.n == 0 || buf_reserve(&c->buf, text.n) == NULL)
		return;
	memmove(c->buf.p + at + text.n, c->buf.p + at, tail);
	memcpy(c->buf.p + at, text.p, text.n);
	c->buf.n += text.n;
}

static void erase(struct content *c, size_t at, size_t n)
{
	memmove(c->buf.p + at, c->buf.p + at + n, c->buf.n - at - n);
	c->buf.n -= n;
}

/* What Postfix's cleanup adds at the end of a header that lacks it. */
static void missing_fields(struct content *c, struct buf *out)
{
	bool resent = c->has & HAS_RESENT;
	const char *prefix = resent ? "Resent-" : "";

	if (!c->start.complete)
		return;
	if (!(c->has & (resent ? HAS_RESENT_MSGID : HAS_MSGID))) {
		size_t at;
		buf_printf(out, "%sMessage-Id: ", prefix);
		at = out->n;
		msgid_make(out, c->start.now, c->start.qid, c->conf->hostname);
		if (!resent && out->n - at <= CONTENT_MSGID_MAX) {
			memcpy(c->msgid, out->p + at, out->n - at);
			c->msgid[out->n - at] = '\0';
		}
		buf_addc(out, '\n');
	}
	if (!(c->has & (resent ? HAS_RESENT_DATE : HAS_DATE))) {
		char date[DATE_MAX];
		date_rfc5322_local(date, c->start.now);
		buf_printf(out, "%sDate: %s\n", prefix, date);
	}
	if (!(c->has & (resent ? HAS_RESENT_FROM : HAS_FROM))) {
		buf_printf(out, "%sFrom: ", prefix);
		if (c->start.sender.n == 0)
			buf_printf(out, "MAILER-DAEMON@%s", c->conf->hostname);
		else
			smtp_path_quote(out, c->start.sender);
		buf_addc(out, '\n');
	}
}

/* The header ends at `at`; `blank`: an empty line must be put there because the body began without one. */
static void end_header(struct content *c, size_t at, bool blank)
{
	CLEANUP(buf_freep) struct buf extra = BUF_INIT(EXTRA_MAX);
	size_t n;

	missing_fields(c, &extra);
	n = extra.overflow ? 0 : extra.n;
	if (blank)
		buf_addc(&extra, '\n');
	insert(c, at, extra.overflow ? (blank ? SV("\n") : SV("")) : buf_sv(&extra));
	c->header_end = c->written + at + n;
	c->in_body = true;
	c->scan = c->buf.n;
}

static void note_msgid(struct content *c, struct sv value)
{
	struct sv id, in = value;

	if (!msgid_next(&in, &id))
		id = value;
	id = sv_head(id, CONTENT_MSGID_MAX);
	if (id.n > 0)
		memcpy(c->msgid, id.p, id.n);
	c->msgid[id.n] = '\0';
}

static bool dropped(const struct content *c, struct sv name)
{
	for (size_t i = 0; i < CONTENT_DROP_MAX && c->conf->drop[i] != NULL; i++) {
		if (sv_ieqs(name, c->conf->drop[i]))
			return true;
	}
	return false;
}

static const struct {
	const char *name;
	unsigned bits;
} noted[] = {{"date", HAS_DATE}, {"message-id", HAS_MSGID}, {"from", HAS_FROM},
    {"resent-date", HAS_RESENT | HAS_RESENT_DATE}, {"resent-message-id", HAS_RESENT | HAS_RESENT_MSGID},
    {"resent-from", HAS_RESENT | HAS_RESENT_FROM}, {"resent-to", HAS_RESENT}, {"resent-sender", HAS_RESENT},
    {"resent-cc", HAS_RESENT}};

static void field(struct content *c, const struct hdr_field *f)
{
	if (sv_ieqs(f->name, "received"))
		c->hops++;
	for (size_t i = 0; i < ARRAY_LEN(noted); i++) {
		if (sv_ieqs(f->name, noted[i].name)) {
			if (noted[i].bits == HAS_MSGID)
				note_msgid(c, f->value);
			c->has |= noted[i].bits;
		}
	}
}

/* One whole line of the header at c->scan, n bytes with its end.  True when the header goes on. */
static bool header_line(struct content *c, size_t n)
{
	struct sv line = sv_of(c->buf.p + c->scan, n);
	struct hdr_field f;
	bool first = c->first_line;

	c->first_line = false;
	if (n == 1) {
		end_header(c, c->scan, false);
		return false;
	}
	if (line.p[0] == ' ' || line.p[0] == '\t') {
		if (first) { /* a body that begins with white space */
			end_header(c, c->scan, true);
			return false;
		}
		if (c->dropping)
			erase(c, c->scan, n);
		else
			c->scan += n;
		return true;
	}
	if (first && (sv_istarts(line, SV("From ")) || sv_istarts(line, SV(">From ")))) {
		insert(c, c->scan, SV("X-Mailbox-Line: "));
		c->scan += n + 16;
		c->dropping = false;
		return true;
	}
	if (!hdr_split(line, &f)) {
		end_header(c, c->scan, true);
		return false;
	}
	field(c, &f);
	c->dropping = dropped(c, f.name);
	if (c->dropping)
		erase(c, c->scan, n);
	else
		c->scan += n;
	return true;
}

static void scan_header(struct content *c)
{
	while (!c->in_body && c->scan < c->buf.n) {
		char *from = c->buf.p + c->scan;
		char *lf = memchr(from, '\n', c->buf.n - c->scan);

		if (lf == NULL) {
			/* A line that fills the buffer cannot be a field that we know. */
			if (c->scan == 0 && c->buf.n + 64 >= CONTENT_PIECE)
				end_header(c, 0, true);
			return;
		}
		if (!header_line(c, (size_t)(lf - from) + 1))
			return;
	}
}

void content_added(struct content *c)
{
	c->received_bytes += c->buf.n - c->before;
	if (c->buf.n > 0 && c->buf.n > c->before)
		c->mid_line = c->buf.p[c->buf.n - 1] != '\n';
	if (!c->in_body)
		scan_header(c);
	if (c->conf->size_limit > 0 && c->received_bytes > c->conf->size_limit)
		c->too_large = true;
	if (c->too_large && c->in_body) {
		c->written += c->buf.n; /* counted, not kept */
		buf_reset(&c->buf);
		c->scan = 0;
	} else if (c->buf.n + 4096 >= CONTENT_PIECE) {
		write_out(c, c->in_body ? c->buf.n : c->scan);
	}
	c->before = c->buf.n;
}

int content_finish(struct content *c, struct err *err)
{
	if (c->mid_line) {
		buf_addc(&c->buf, '\n');
		c->mid_line = false;
		content_added(c);
	}
	if (!c->in_body)
		scan_header(c);
	if (!c->in_body)
		end_header(c, c->buf.n, false);
	write_out(c, c->buf.n);
	if (c->failed) {
		errno = c->failed;
		return err_sys(err, "write");
	}
	if (c->too_large)
		return err_set(err, ERR_LIMIT, "message file too big");
	if (content_hops_exceeded(c))
		return err_set(err, ERR_LIMIT, "too many hops");
	if (c->summary != NULL && summary_builder_finish(c->summary, &c->record, NULL) < 0)
		buf_reset(&c->record);
	return 0;
}

bool content_too_large(const struct content *c)
{
	return c->too_large;
}

bool content_hops_exceeded(const struct content *c)
{
	return c->hops > c->conf->hop_limit;
}

uint64_t content_bytes(const struct content *c)
{
	return c->written + c->buf.n;
}

struct sv content_msgid(const struct content *c)
{
	return sv_str(c->msgid);
}

struct sv content_summary(const struct content *c)
{
	return buf_sv(&c->record);
}

void content_extents(const struct content *c, struct mail_content *out)
{
	*out = (struct mail_content){.nheader = 1};
	out->header[0] = (struct mail_extent){CL_CONTENT_START, c->header_end};
	out->body = (struct mail_extent){CL_CONTENT_START + c->header_end, c->written - c->header_end};
}

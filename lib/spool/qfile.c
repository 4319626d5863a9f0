/* qfile.c - appended records of the queue file, and reading a whole one; see qfile.h and docs/queue-format.md. */
#include "spool/qfile.h"

#include <sys/stat.h>

#include "base/codec.h"
#include "base/fsutil.h"
#include "spool/qbytes.h"
#include "spool/qparse.h"

#define REC_HEAD 12 /* payload length u32, type u16, zero u16, number of status bytes u32 */
#define ARENA_BUDGET (128u << 20)

enum rec_type { REC_RESULT = 1, REC_SCHEDULE, REC_HOLD, REC_WARNED, REC_EXPAND };
#define REC_IGNORABLE 0x8000u

/* ---- writing ---- */

static size_t rec_begin(struct buf *out, uint16_t type, uint32_t trail)
{
	size_t at = out->n;
	char head[REC_HEAD] = {0};
	le16(head + 4, type);
	le32(head + 8, trail);
	(void)buf_add(out, head, sizeof(head));
	return at;
}

static int rec_end(struct buf *out, size_t at)
{
	if (out->overflow || out->n - at - REC_HEAD > QFILE_RECORD_MAX)
		return ERR_LIMIT;
	le32(out->p + at, (uint32_t)(out->n - at - REC_HEAD));
	return put32(out, crc32c(0, out->p + at, out->n - at));
}

int qrec_result_put(struct buf *out, const struct qfile_result *r)
{
	size_t at = rec_begin(out, REC_RESULT, 0);
	(void)put32(out, r->index);
	(void)put32(out, r->outcome);
	(void)put64(out, (uint64_t)r->when);
	(void)putstr(out, sv_head(r->dsn, MAIL_NAME_MAX));
	(void)putstr(out, sv_head(r->relay, MAIL_NAME_MAX));
	(void)putstr(out, sv_head(r->text, MAIL_TEXT_MAX));
	return rec_end(out, at);
}

int qrec_schedule_put(struct buf *out, uint32_t attempts, int64_t next)
{
	size_t at = rec_begin(out, REC_SCHEDULE, 0);
	(void)put32(out, attempts);
	(void)put64(out, (uint64_t)next);
	return rec_end(out, at);
}

int qrec_hold_put(struct buf *out, bool hold)
{
	size_t at = rec_begin(out, REC_HOLD, 0);
	(void)put32(out, hold);
	return rec_end(out, at);
}

int qrec_warned_put(struct buf *out)
{
	return rec_end(out, rec_begin(out, REC_WARNED, 0));
}

int qrec_expand_put(struct buf *out, uint32_t parent, const struct mail_rcpt *rcpt, size_t n, size_t *mark)
{
	size_t at = rec_begin(out, REC_EXPAND, (uint32_t)n);
	(void)put32(out, parent);
	for (size_t i = 0; i < n; i++)
		qrcpt_put(out, &rcpt[i]);
	int r = rec_end(out, at);
	if (r < 0)
		return r;
	*mark = out->n;
	for (size_t i = 0; i < n; i++)
		(void)buf_addc(out, QS_WAITING);
	return out->overflow ? ERR_LIMIT : 0;
}

/* ---- reading ---- */

static char status_of(char c)
{
	return c == QS_SENT || c == QS_FAILED || c == QS_EXPANDED ? c : QS_WAITING;
}

static struct qfile_rcpt *rcpt_add(struct qfile *q)
{
	if (q->n == q->cap) {
		q->cap = q->cap * 2 + 4;
		q->rcpt = xreallocarray(q->rcpt, q->cap, sizeof(*q->rcpt));
	}
	struct qfile_rcpt *r = &q->rcpt[q->n++];
	memset(r, 0, sizeof(*r));
	return r;
}

static bool read_result(struct qfile *q, struct sv in, struct sv trail, uint64_t trail_at)
{
	uint32_t index, outcome;
	uint64_t when;
	struct sv dsn, relay, text;
	(void)trail_at;
	if (!take32(&in, &index) || index >= q->n || !take32(&in, &outcome) ||
	    (outcome != QO_DEFERRED && outcome != QO_FAILED) || !take64(&in, &when) ||
	    !takestr(&in, &dsn, MAIL_NAME_MAX) || !takestr(&in, &relay, MAIL_NAME_MAX) ||
	    !takestr(&in, &text, MAIL_TEXT_MAX) || in.n || trail.n)
		return false;
	struct qfile_rcpt *r = &q->rcpt[index];
	r->outcome = (uint8_t)outcome;
	r->last = (int64_t)when;
	r->dsn = dsn;
	r->relay = relay;
	r->text = text;
	return true;
}

static bool read_schedule(struct qfile *q, struct sv in, struct sv trail, uint64_t trail_at)
{
	uint32_t attempts;
	uint64_t next;
	(void)trail_at;
	if (!take32(&in, &attempts) || !take64(&in, &next) || in.n || trail.n)
		return false;
	q->attempts = attempts;
	q->next = (int64_t)next;
	return true;
}

static bool read_hold(struct qfile *q, struct sv in, struct sv trail, uint64_t trail_at)
{
	uint32_t hold;
	(void)trail_at;
	if (!take32(&in, &hold) || in.n || trail.n)
		return false;
	q->hold = hold != 0;
	return true;
}

static bool read_warned(struct qfile *q, struct sv in, struct sv trail, uint64_t trail_at)
{
	(void)trail_at;
	q->warned = true;
	return in.n == 0 && trail.n == 0;
}

static bool read_expand(struct qfile *q, struct sv in, struct sv trail, uint64_t trail_at)
{
	uint32_t parent;
	if (!take32(&in, &parent) || parent >= q->n || trail.n > MAIL_RCPTS_MAX || q->n + trail.n > 2 * MAIL_RCPTS_MAX)
		return false;
	size_t before = q->n;
	for (size_t i = 0; i < trail.n; i++) {
		struct mail_rcpt m;
		if (!qrcpt_take(&in, &m)) {
			q->n = before;
			return false;
		}
		struct qfile_rcpt *r = rcpt_add(q);
		r->rcpt = m;
		r->parent = parent;
		r->mark_at = trail_at + i;
		r->status = status_of(trail.p[i]);
	}
	if (in.n) {
		q->n = before;
		return false;
	}
	q->rcpt[parent].status = QS_EXPANDED;
	return true;
}

static bool (*const readers[])(struct qfile *, struct sv, struct sv, uint64_t) = {
    [REC_RESULT] = read_result,
    [REC_SCHEDULE] = read_schedule,
    [REC_HOLD] = read_hold,
    [REC_WARNED] = read_warned,
    [REC_EXPAND] = read_expand,
};

/* One record at the start of `in`: bytes that it takes, 0 when there is no valid one. */
static size_t read_record(struct qfile *q, struct sv in, uint64_t at)
{
	if (in.n < REC_HEAD + 4)
		return 0;
	uint64_t len = rd32(in.p), trail = rd32(in.p + 8);
	uint16_t type = rd16(in.p + 4);
	if (len > QFILE_RECORD_MAX || trail > MAIL_RCPTS_MAX || REC_HEAD + len + 4 + trail > in.n ||
	    rd32(in.p + REC_HEAD + len) != crc32c(0, in.p, REC_HEAD + len))
		return 0;
	size_t used = REC_HEAD + len + 4;
	struct sv tr = sv_of(in.p + used, trail);
	if (type < ARRAY_LEN(readers) && readers[type]) {
		if (!readers[type](q, sv_of(in.p + REC_HEAD, len), tr, at + used))
			return 0;
	} else if (!(type & REC_IGNORABLE)) {
		return 0;
	}
	return used + trail;
}

static int parse_owned(struct qfile *q, struct sv tail, uint64_t block_at, bool block_only, struct err *err)
{
	if (tail.n < QBLOCK_HEAD)
		return err_set(err, ERR_CORRUPT, "file ends before the commit block");
	uint32_t len = rd32(tail.p + 4);
	if (len > tail.n)
		return err_set(err, ERR_CORRUPT, "file ends within the commit block");
	int r = qblock_parse(q, sv_head(tail, len), block_at, err);
	if (r < 0)
		return r;
	if (!block_only && tail.n - len < q->n)
		return err_set(err, ERR_CORRUPT, "file ends within the status bytes");
	for (size_t i = 0; i < q->n; i++) {
		q->rcpt[i].parent = UINT32_MAX;
		q->rcpt[i].mark_at = block_at + len + i;
		q->rcpt[i].status = block_only ? QS_WAITING : status_of(tail.p[len + i]);
	}
	size_t at = len + q->n, used;
	if (!block_only)
		while (at < tail.n && (used = read_record(q, sv_skip(tail, at), block_at + at)) > 0)
			at += used;
	q->end = block_at + at;
	q->size = block_only ? q->end : block_at + tail.n;
	return 0;
}

/* Takes raw over: into *q on success, freed otherwise. */
static int parse_take(struct qfile *q, char *raw, struct sv tail, uint64_t block_at, bool block_only, struct err *err)
{
	struct qfile t = {.raw = raw};
	arena_init(&t.mem, ARENA_BUDGET);
	int r = parse_owned(&t, tail, block_at, block_only, err);
	if (r < 0)
		qfile_clear(&t);
	else
		*q = t;
	return r;
}

int qfile_parse(struct qfile *q, struct sv tail, uint64_t block_at, bool block_only, struct err *err)
{
	if (tail.n > (size_t)QFILE_BLOCK_MAX + QFILE_RECORDS_MAX)
		return err_set(err, ERR_LIMIT, "queue file has %zu bytes of records", tail.n);
	char *raw = xmalloc(tail.n + 1);
	if (tail.n)
		memcpy(raw, tail.p, tail.n);
	return parse_take(q, raw, sv_of(raw, tail.n), block_at, block_only, err);
}

int qfile_digest(int fd, uint64_t end, uint32_t *digest, struct err *err)
{
	char part[16384];
	uint32_t crc = 0;
	for (uint64_t at = QFILE_PREAMBLE; at < end;) {
		size_t want = end - at < sizeof(part) ? (size_t)(end - at) : sizeof(part);
		int r = fs_pread_all(fd, part, want, (off_t)at, err);
		if (r < 0)
			return r;
		crc = crc32c(crc, part, want);
		at += want;
	}
	*digest = crc;
	return 0;
}

int qfile_load(struct qfile *q, int fd, unsigned flags, struct err *err)
{
	struct stat st;
	char head[QFILE_PREAMBLE];
	uint64_t at;
	uint32_t len, digest;
	if (fstat(fd, &st) < 0)
		return err_sys(err, "fstat");
	int r = fs_pread_all(fd, head, sizeof(head), 0, err);
	if (r < 0 || (r = qfile_preamble_get(head, &at, &len, err)) < 0)
		return r;
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size < at + len)
		return err_set(err, ERR_CORRUPT, "file ends within the commit block");
	uint64_t n = (uint64_t)st.st_size - at;
	if (n > (uint64_t)QFILE_BLOCK_MAX + QFILE_RECORDS_MAX)
		return err_set(err, ERR_LIMIT, "queue file has %ju bytes of records", (uintmax_t)n);
	char *raw = xmalloc(n);
	struct qfile t;
	r = fs_pread_all(fd, raw, n, (off_t)at, err);
	if (r < 0) {
		free(raw);
		return r;
	}
	if (rd32(raw + 4) != len) {
		free(raw);
		return err_set(err, ERR_CORRUPT, "preamble and commit block disagree");
	}
	r = parse_take(&t, raw, sv_of(raw, n), at, false, err);
	if (r < 0)
		return r;
	if (flags & QFILE_VERIFY) {
		r = qfile_digest(fd, t.content_end, &digest, err);
		if (r == 0 && digest != t.digest)
			r = err_set(err, ERR_CORRUPT, "bad checksum of the content");
		if (r < 0) {
			qfile_clear(&t);
			return r;
		}
	}
	*q = t;
	return 0;
}

int qfile_expand(struct qfile *q, uint32_t parent, const struct mail_rcpt *rcpt, size_t n, uint64_t at)
{
	if (parent >= q->n || n > MAIL_RCPTS_MAX || q->n + n > 2 * MAIL_RCPTS_MAX)
		return ERR_LIMIT;
	size_t before = q->n;
	for (size_t i = 0; i < n; i++) {
		struct qfile_rcpt *r = rcpt_add(q);
		r->parent = parent;
		r->mark_at = at + i;
		r->status = QS_WAITING;
		r->rcpt = rcpt[i];
		if (arena_sv(&q->mem, rcpt[i].addr, &r->rcpt.addr) < 0 ||
		    arena_sv(&q->mem, rcpt[i].orig, &r->rcpt.orig) < 0 ||
		    arena_sv(&q->mem, rcpt[i].orcpt, &r->rcpt.orcpt) < 0) {
			q->n = before;
			return ERR_LIMIT;
		}
	}
	q->rcpt[parent].status = QS_EXPANDED;
	return 0;
}

void qfile_clear(struct qfile *q)
{
	free(q->raw);
	free(q->rcpt);
	arena_clear(&q->mem);
	memset(q, 0, sizeof(*q));
}

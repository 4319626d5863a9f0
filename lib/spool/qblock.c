/*
 * qblock.c - preamble and commit block of the queue file; see qfile.h and docs/queue-format.md.
 *
 * Fields of a block are tag, length, value.  A reader ignores a tag it does not know when its top bit is set and
 * refuses the file otherwise: what changes the meaning of a message must not be overlooked.
 */
#include "base/codec.h"
#include "spool/qbytes.h"
#include "spool/qparse.h"

static const char magic[8] = {'M', 'E', 'R', 'P', 'A', 'T', 'I', 'Q'};
#define BLOCK_MAGIC 0x4b4c4251u /* "QBLK" */
#define TAG_IGNORABLE 0x80000000u

enum tag {
	TAG_QID = 1,
	TAG_SENDER,
	TAG_ENVID,
	TAG_NUMBERS, /* flags u32, zero u32, arrival i64, size u64 */
	TAG_CONTENT, /* pieces: offset u64, length u64; the last is the body */
	TAG_CLIENT_NAME,
	TAG_CLIENT_ADDR,
	TAG_HELO,
	TAG_PROTOCOL,
	TAG_SASL_METHOD,
	TAG_SASL_USER,
	TAG_MESSAGE_ID,
	TAG_SUMMARY,
	TAG_RCPT /* notify u32, flags u32, three strings */
};

/* The fields that are one string each. */
static const struct {
	uint32_t tag;
	size_t max;
	size_t at; /* in struct mail_envelope */
} strings[] = {
    {TAG_SENDER, MAIL_ADDR_MAX, offsetof(struct mail_envelope, sender)},
    {TAG_ENVID, MAIL_NAME_MAX, offsetof(struct mail_envelope, envid)},
    {TAG_CLIENT_NAME, MAIL_NAME_MAX, offsetof(struct mail_envelope, client_name)},
    {TAG_CLIENT_ADDR, MAIL_NAME_MAX, offsetof(struct mail_envelope, client_addr)},
    {TAG_HELO, MAIL_NAME_MAX, offsetof(struct mail_envelope, helo)},
    {TAG_PROTOCOL, MAIL_NAME_MAX, offsetof(struct mail_envelope, protocol)},
    {TAG_SASL_METHOD, MAIL_NAME_MAX, offsetof(struct mail_envelope, sasl_method)},
    {TAG_SASL_USER, MAIL_NAME_MAX, offsetof(struct mail_envelope, sasl_user)},
    {TAG_MESSAGE_ID, MAIL_NAME_MAX, offsetof(struct mail_envelope, message_id)},
    {TAG_SUMMARY, MAIL_SUMMARY_MAX, offsetof(struct mail_envelope, summary)},
};

void qfile_preamble(char out[QFILE_PREAMBLE], uint64_t block_at, uint32_t block_len)
{
	memset(out, 0, QFILE_PREAMBLE);
	memcpy(out, magic, sizeof(magic));
	le16(out + 8, QFILE_MAJOR);
	le16(out + 10, QFILE_MINOR);
	le32(out + 12, QFILE_PREAMBLE);
	le64(out + 16, block_at);
	le32(out + 24, block_len);
	le32(out + QFILE_PREAMBLE - 4, crc32c(0, out, QFILE_PREAMBLE - 4));
}

int qfile_preamble_get(const char in[QFILE_PREAMBLE], uint64_t *block_at, uint32_t *block_len, struct err *err)
{
	if (memcmp(in, magic, sizeof(magic)) != 0)
		return err_set(err, ERR_CORRUPT, "no queue file: bad magic");
	if (rd16(in + 8) != QFILE_MAJOR)
		return err_set(err, ERR_UNSUPPORTED, "queue file of version %u", rd16(in + 8));
	if (rd32(in + QFILE_PREAMBLE - 4) != crc32c(0, in, QFILE_PREAMBLE - 4))
		return err_set(err, ERR_CORRUPT, "bad checksum of the preamble");
	uint64_t at = rd64(in + 16);
	uint32_t len = rd32(in + 24);
	if (rd32(in + 12) != QFILE_PREAMBLE || at < QFILE_PREAMBLE || at > INT64_MAX - (1ll << 40) ||
	    len < QBLOCK_HEAD + 4 || len > QFILE_BLOCK_MAX)
		return err_set(err, ERR_CORRUPT, "impossible place of the commit block");
	*block_at = at;
	*block_len = len;
	return 0;
}

static void field(struct buf *out, uint32_t tag, struct sv v)
{
	if (v.n == 0)
		return;
	(void)put32(out, tag);
	(void)putstr(out, v);
}

static void put_numbers(struct buf *out, const struct mail_envelope *env)
{
	(void)put32(out, TAG_NUMBERS);
	(void)put32(out, 24);
	(void)put32(out, env->flags);
	(void)put32(out, 0);
	(void)put64(out, (uint64_t)env->arrival);
	(void)put64(out, env->size);
}

static void put_content(struct buf *out, const struct mail_content *c)
{
	(void)put32(out, TAG_CONTENT);
	(void)put32(out, (uint32_t)(16 * (c->nheader + 1)));
	for (size_t i = 0; i < c->nheader; i++) {
		(void)put64(out, c->header[i].at);
		(void)put64(out, c->header[i].len);
	}
	(void)put64(out, c->body.at);
	(void)put64(out, c->body.len);
}

void qrcpt_put(struct buf *out, const struct mail_rcpt *r)
{
	(void)put32(out, r->notify);
	(void)put32(out, r->flags);
	(void)putstr(out, r->addr);
	(void)putstr(out, r->orig);
	(void)putstr(out, r->orcpt);
}

bool qrcpt_take(struct sv *in, struct mail_rcpt *r)
{
	return take32(in, &r->notify) && take32(in, &r->flags) && takestr(in, &r->addr, MAIL_ADDR_MAX) &&
	       takestr(in, &r->orig, MAIL_ADDR_MAX) && takestr(in, &r->orcpt, MAIL_ADDR_MAX);
}

int qfile_block_put(struct buf *out, struct sv qid, const struct mail_envelope *env, const struct mail_rcpt *rcpt,
    size_t n, uint64_t content_end)
{
	size_t start = out->n;
	char head[QBLOCK_HEAD] = {0};
	if (n > MAIL_RCPTS_MAX || env->content.nheader > MAIL_EXTENTS_MAX)
		return ERR_LIMIT;
	le32(head, BLOCK_MAGIC);
	le64(head + 8, content_end);
	le32(head + 20, (uint32_t)n);
	le32(head + 24, QBLOCK_HEAD);
	(void)buf_add(out, head, sizeof(head));
	field(out, TAG_QID, qid);
	put_numbers(out, env);
	put_content(out, &env->content);
	for (size_t i = 0; i < ARRAY_LEN(strings); i++)
		field(out, strings[i].tag, *(const struct sv *)((const char *)env + strings[i].at));
	for (size_t i = 0; i < n; i++) {
		(void)put32(out, TAG_RCPT);
		(void)put32(out, (uint32_t)(20 + rcpt[i].addr.n + rcpt[i].orig.n + rcpt[i].orcpt.n));
		qrcpt_put(out, &rcpt[i]);
	}
	(void)put32(out, 0);
	if (out->overflow || out->n - start > QFILE_BLOCK_MAX)
		return ERR_LIMIT;
	le32(out->p + start + 4, (uint32_t)(out->n - start));
	return 0;
}

void qfile_seal_block(char *block, size_t n, uint32_t digest)
{
	le32(block + 16, digest);
	le32(block + n - 4, crc32c(0, block, n - 4));
}

static bool take_numbers(struct sv v, struct mail_envelope *env)
{
	uint32_t zero;
	uint64_t arrival;
	if (v.n != 24 || !take32(&v, &env->flags) || !take32(&v, &zero) || !take64(&v, &arrival) ||
	    !take64(&v, &env->size))
		return false;
	env->arrival = (int64_t)arrival;
	return true;
}

static bool take_content(struct sv v, struct mail_content *c, uint64_t end)
{
	if (v.n % 16 || v.n == 0 || v.n / 16 > MAIL_EXTENTS_MAX + 1)
		return false;
	c->nheader = v.n / 16 - 1;
	for (size_t i = 0; i < c->nheader; i++)
		if (!take64(&v, &c->header[i].at) || !take64(&v, &c->header[i].len))
			return false;
	return take64(&v, &c->body.at) && take64(&v, &c->body.len) && mail_content_valid(c, QFILE_PREAMBLE, end, end);
}

/* One field into q; false when it is not well formed. */
static bool take_field(struct qfile *q, uint32_t tag, struct sv v, size_t *nrcpt, size_t total)
{
	switch (tag) {
	case TAG_QID: q->qid = v; return mail_qid_valid(v);
	case TAG_NUMBERS: return take_numbers(v, &q->env);
	case TAG_CONTENT: return take_content(v, &q->env.content, q->content_end);
	case TAG_RCPT:
		if (*nrcpt >= total || !qrcpt_take(&v, &q->rcpt[*nrcpt].rcpt) || v.n)
			return false;
		++*nrcpt;
		return true;
	default: break;
	}
	for (size_t i = 0; i < ARRAY_LEN(strings); i++)
		if (strings[i].tag == tag) {
			*(struct sv *)((char *)&q->env + strings[i].at) = v;
			return v.n <= strings[i].max;
		}
	return (tag & TAG_IGNORABLE) != 0;
}

int qblock_parse(struct qfile *q, struct sv block, uint64_t block_at, struct err *err)
{
	if (block.n < QBLOCK_HEAD + 4 || rd32(block.p) != BLOCK_MAGIC || rd32(block.p + 4) != block.n)
		return err_set(err, ERR_CORRUPT, "no commit block");
	if (rd32(block.p + block.n - 4) != crc32c(0, block.p, block.n - 4))
		return err_set(err, ERR_CORRUPT, "bad checksum of the commit block");
	uint32_t n = rd32(block.p + 20), head = rd32(block.p + 24);
	if (rd64(block.p + 8) != block_at || n > MAIL_RCPTS_MAX || head < QBLOCK_HEAD || head > block.n - 4)
		return err_set(err, ERR_CORRUPT, "impossible commit block");
	q->content_end = block_at;
	q->digest = rd32(block.p + 16);
	q->rcpt = xcalloc(n + 1, sizeof(*q->rcpt));
	q->cap = n + 1;
	struct sv in = sv_of(block.p + head, block.n - 4 - head);
	size_t got = 0;
	bool content = false, numbers = false;
	while (in.n > 0) {
		uint32_t tag;
		struct sv v;
		if (!take32(&in, &tag) || !takestr(&in, &v, QFILE_BLOCK_MAX))
			return err_set(err, ERR_CORRUPT, "commit block ends within a field");
		if (!take_field(q, tag, v, &got, n))
			return err_set(err, ERR_CORRUPT, "bad or unknown field %u in the commit block", tag);
		content |= tag == TAG_CONTENT;
		numbers |= tag == TAG_NUMBERS;
	}
	if (got != n || q->qid.n == 0 || !content || !numbers)
		return err_set(err, ERR_CORRUPT, "commit block lacks a field");
	q->n = n;
	return 0;
}

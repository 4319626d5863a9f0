/* envelope.c - checks of envelope parts; see envelope.h. */
#include "message/envelope.h"

static bool extent_valid(const struct mail_extent *e, uint64_t from, uint64_t end)
{
	return e->at >= from && e->at <= end && e->len <= end - e->at;
}

static bool extents_overlap(const struct mail_extent *a, const struct mail_extent *b)
{
	return a->len && b->len && a->at < b->at + b->len && b->at < a->at + a->len;
}

bool mail_content_valid(const struct mail_content *c, uint64_t from, uint64_t end, uint64_t max)
{
	if (c->nheader > MAIL_EXTENTS_MAX || !extent_valid(&c->body, from, end))
		return false;
	uint64_t sum = c->body.len;
	for (size_t i = 0; i < c->nheader; i++) {
		if (!extent_valid(&c->header[i], from, end) || extents_overlap(&c->header[i], &c->body))
			return false;
		for (size_t j = 0; j < i; j++)
			if (extents_overlap(&c->header[i], &c->header[j]))
				return false;
		sum += c->header[i].len;
	}
	return sum <= max;
}

uint64_t mail_content_size(const struct mail_content *c)
{
	uint64_t sum = c->body.len;
	for (size_t i = 0; i < c->nheader; i++)
		sum += c->header[i].len;
	return sum;
}

bool mail_qid_valid(struct sv qid)
{
	if (qid.n == 0 || qid.n > MAIL_QID_MAX)
		return false;
	for (size_t i = 0; i < qid.n; i++)
		if (!ascii_isalnum((unsigned char)qid.p[i]))
			return false;
	return true;
}

/* cmd_search.c - SEARCH (RFC 3501 section 6.4.4) and ESEARCH (RFC 4731). */
#include "imapd/search_text.h"
#include "message/charset.h"
#include "message/date.h"
#include "proto/imap_crit.h"

struct search {
	struct imap *s;
	struct view v;
	struct imap_search q;
	int64_t now;
	uint32_t *hits;
	size_t n;
};

/* ---- preparation ---- */

/* The key's text as folded UTF-8. */
static bool fold_text(struct search *q, struct charset *c, struct sv *text)
{
	CLEANUP(buf_freep) struct buf utf8 = BUF_INIT(4 * TEXT_FIND_MAX), folded = BUF_INIT(TEXT_FIND_MAX);
	charset_reset(c);
	charset_convert(c, *text, &utf8);
	text_fold(&folded, buf_sv(&utf8));
	return !utf8.overflow && !folded.overflow && arena_sv(&q->s->arena, buf_sv(&folded), text) == 0;
}

/* RFC 3501: ALL is 0, flags and numbers cost nothing, headers little, bodies much. */
static unsigned cost_of(enum imap_crit_type t)
{
	if (t == IMAP_C_BODY || t == IMAP_C_TEXT)
		return 2;
	return t == IMAP_C_HEADER || t == IMAP_C_SENTSINCE || t == IMAP_C_SENTBEFORE || t == IMAP_C_SENTON;
}

static int prepare(struct search *q, struct charset *c, struct imap_crit *k)
{
	size_t count = mailbox_count(q->s->mb);
	uint32_t last = count == 0 ? 0 : mailbox_msg(q->s->mb, count - 1)->uid;
	k->cost = (uint8_t)cost_of(k->type);
	switch (k->type) {
	case IMAP_C_SEQ: {
		bool star = false;
		for (size_t i = 0; i < k->set.n; i++) {
			star |= k->set.v[i].lo == IMAP_STAR || k->set.v[i].hi == IMAP_STAR;
			if (k->set.v[i].lo > count && !star)
				return ERR_SYNTAX;
		}
		imap_set_resolve(&k->set, (uint32_t)count);
		break;
	}
	case IMAP_C_UID: imap_set_resolve(&k->set, last); break;
	case IMAP_C_KEYWORD: {
		int bit = mailbox_keyword(q->s->mb, k->text, false, NULL);
		if (sv_ieqs(k->text, "$Forwarded"))
			bit = -2;
		k->number = (uint64_t)(int64_t)bit;
		break;
	}
	case IMAP_C_HEADER:
	case IMAP_C_BODY:
	case IMAP_C_TEXT:
		if (!fold_text(q, c, &k->text))
			return ERR_LIMIT;
		break;
	default: break;
	}
	for (struct imap_crit *child = k->child; child != NULL; child = child->next) {
		int r = prepare(q, c, child);
		if (r != 0)
			return r;
		if (child->cost > k->cost)
			k->cost = child->cost;
	}
	return 0;
}

/* ---- matching: 1, 0 ---- */

static bool match(struct search *q, const struct imap_crit *k);

static bool match_flag(const struct mb_msg *m, uint8_t flag)
{
	static const struct {
		uint8_t crit, bit;
	} map[] = {{IMAP_CF_SEEN, MB_SEEN}, {IMAP_CF_ANSWERED, MB_ANSWERED}, {IMAP_CF_FLAGGED, MB_FLAGGED},
	    {IMAP_CF_DELETED, MB_DELETED}, {IMAP_CF_DRAFT, MB_DRAFT}, {IMAP_CF_RECENT, MB_RECENT}};
	for (size_t i = 0; i < ARRAY_LEN(map); i++)
		if (map[i].crit == flag)
			return (m->flags & map[i].bit) != 0;
	return false;
}

static bool match_keyword(const struct mb_msg *m, int64_t bit)
{
	if (bit == -2)
		return (m->flags & MB_PASSED) != 0;
	return bit >= 0 && bit < STORE_KEYWORDS && (m->keywords >> bit & 1) != 0;
}

static bool match_day(enum imap_crit_type t, int64_t day, int64_t wanted)
{
	switch (t) {
	case IMAP_C_SINCE:
	case IMAP_C_SENTSINCE: return day >= wanted;
	case IMAP_C_BEFORE:
	case IMAP_C_SENTBEFORE: return day < wanted;
	default: return day == wanted;
	}
}

static bool match_sent(struct search *q, const struct imap_crit *k)
{
	struct sv value;
	int64_t t;
	int zone;
	if (search_get_field(&q->v, "Date", &value) != 1 || date_parse(value, &t, &zone) != 0)
		return false;
	return match_day(k->type, date_day(t, zone), k->day); /* RFC 3501: without regard to time and zone */
}

static bool match_children(struct search *q, const struct imap_crit *k)
{
	bool want = k->type == IMAP_C_OR;
	for (unsigned cost = 0; cost <= k->cost; cost++)
		for (const struct imap_crit *c = k->child; c != NULL; c = c->next)
			if (c->cost == cost && match(q, c) == want)
				return want;
	return !want;
}

static bool match_plain(struct search *q, const struct imap_crit *k)
{
	struct mailbox *mb = q->s->mb;
	const struct mb_msg *m = mailbox_msg(mb, q->v.i);
	switch (k->type) {
	case IMAP_C_ALL: return true;
	case IMAP_C_SEQ: return imap_set_has(&k->set, (uint32_t)q->v.i + 1);
	case IMAP_C_UID: return imap_set_has(&k->set, m->uid);
	case IMAP_C_FLAG: return match_flag(m, k->flag);
	case IMAP_C_KEYWORD: return match_keyword(m, (int64_t)k->number);
	case IMAP_C_SINCE:
	case IMAP_C_BEFORE:
	case IMAP_C_ON: return match_day(k->type, date_day(mailbox_date(mb, q->v.i), 0), k->day);
	case IMAP_C_SENTSINCE:
	case IMAP_C_SENTBEFORE:
	case IMAP_C_SENTON: return match_sent(q, k);
	case IMAP_C_LARGER: return m->wsize > k->number;
	case IMAP_C_SMALLER: return m->wsize < k->number;
	case IMAP_C_YOUNGER: return q->now - mailbox_date(mb, q->v.i) <= (int64_t)(k->number & INT64_MAX);
	case IMAP_C_OLDER: return q->now - mailbox_date(mb, q->v.i) > (int64_t)(k->number & INT64_MAX);
	case IMAP_C_HEADER: return search_field(&q->v, k->field, k->text) == 1;
	case IMAP_C_BODY: return search_body(&q->v, k->text, false) == 1;
	case IMAP_C_TEXT: return search_body(&q->v, k->text, true) == 1;
	case IMAP_C_AND:
	case IMAP_C_OR: return match_children(q, k);
	}
	return false;
}

static bool match(struct search *q, const struct imap_crit *k)
{
	return match_plain(q, k) != k->negate;
}

/* The lowest and highest place that the top-level sets allow, so that "UID 5:7" does not visit a million messages. */
static void bounds(const struct search *q, size_t *from, size_t *to)
{
	*from = 0;
	*to = mailbox_count(q->s->mb);
	for (const struct imap_crit *k = q->q.root->child; k != NULL; k = k->next) {
		size_t lo = 0, hi;
		if (k->negate || (k->type != IMAP_C_SEQ && k->type != IMAP_C_UID))
			continue;
		if (k->set.n == 0) {
			hi = 0;
		} else if (k->type == IMAP_C_SEQ) {
			lo = k->set.v[0].lo > 0 ? k->set.v[0].lo - 1 : 0;
			hi = k->set.v[k->set.n - 1].hi;
		} else {
			uint32_t last = k->set.v[k->set.n - 1].hi;
			lo = mailbox_lower(q->s->mb, k->set.v[0].lo);
			hi = last == UINT32_MAX ? *to : mailbox_lower(q->s->mb, last + 1);
		}
		*from = lo > *from ? lo : *from;
		*to = hi < *to ? hi : *to;
	}
}

static bool run(struct search *q)
{
	size_t from, to;
	bounds(q, &from, &to);
	size_t most = to > from ? to - from : 0;
	q->hits = arena_alloc(&q->s->arena, (most + 1) * sizeof(*q->hits));
	if (q->hits == NULL)
		return false;
	for (size_t i = from; i < to; i++) {
		const struct mb_msg *m = mailbox_msg(q->s->mb, i);
		view_set(&q->v, i);
		if (!match(q, q->q.root))
			continue;
		q->hits[q->n++] = q->s->uid ? m->uid : (uint32_t)i + 1;
		if (q->q.extended && q->q.ret == IMAP_RET_MIN)
			break;
	}
	return true;
}

/* ---- answers ---- */

static void answer_plain(const struct search *q)
{
	imap_writes(q->s, "* SEARCH");
	for (size_t i = 0; i < q->n; i++)
		imap_printf(q->s, " %u", q->hits[i]);
	imap_writes(q->s, "\r\n");
}

static void answer_extended(const struct search *q)
{
	struct imap *s = q->s;
	buf_reset(&s->scratch);
	buf_adds(&s->scratch, "* ESEARCH (TAG ");
	imap_put_nstring(&s->scratch, s->tag);
	buf_adds(&s->scratch, s->uid ? ") UID" : ")");
	if (q->n > 0 && (q->q.ret & IMAP_RET_MIN))
		buf_printf(&s->scratch, " MIN %u", q->hits[0]);
	if (q->n > 0 && (q->q.ret & IMAP_RET_MAX))
		buf_printf(&s->scratch, " MAX %u", q->hits[q->n - 1]);
	if (q->n > 0 && (q->q.ret & IMAP_RET_ALL)) {
		buf_adds(&s->scratch, " ALL ");
		imap_set_put(&s->scratch, q->hits, q->n);
	}
	if (q->q.ret & IMAP_RET_COUNT)
		buf_printf(&s->scratch, " COUNT %zu", q->n);
	buf_adds(&s->scratch, "\r\n");
	imap_write(s, s->scratch.p, s->scratch.n);
}

void cmd_search(struct imap *s, struct imap_lex *l)
{
	struct search q = {.s = s, .now = clock_wall()};
	struct charset c;
	struct err err;
	if (!imap_lex_sp(l)) {
		imap_bad_arguments(s);
		return;
	}
	if (imap_search_parse(l, &q.q, &err) != 0) {
		imap_reply(s, "BAD", "%s", err.text);
		return;
	}
	charset_open(&c, q.q.charset);
	if (!c.known) {
		charset_close(&c);
		imap_done(s, "NO", "[BADCHARSET (US-ASCII UTF-8)] Unknown charset");
		return;
	}
	view_init(&q.v, s);
	int r = prepare(&q, &c, q.q.root);
	charset_close(&c);
	if (r == ERR_SYNTAX) {
		imap_reply(s, "BAD", "Invalid messageset");
	} else if (r != 0 || !run(&q)) {
		imap_done(s, "NO", "[LIMIT] Search text or result too large");
	} else {
		if (q.q.extended)
			answer_extended(&q);
		else
			answer_plain(&q);
		imap_done(s, "OK", "Search completed.");
	}
	view_clear(&q.v);
}

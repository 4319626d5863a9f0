#include "dns/dns_wire.h"

#define DNS_HEADER 12
#define DNS_MAX_TTL 86400 /* longer ones are cut: nobody depends on an answer being kept for more than a day */
#define DNS_NEGATIVE_TTL 60

struct wire {
	const unsigned char *p;
	size_t n, at;
};

/* One resource record; rdata lies at [rdata, rdata + rdlen) of the packet. */
struct record {
	char owner[RS_MAX_NAME + 1];
	bool owner_ok;
	unsigned type, class;
	uint32_t ttl;
	size_t rdata, rdlen;
};

static bool wire_u16(struct wire *w, unsigned *v)
{
	if (w->n - w->at < 2)
		return false;
	*v = (unsigned)w->p[w->at] << 8 | w->p[w->at + 1];
	w->at += 2;
	return true;
}

static bool wire_u32(struct wire *w, uint32_t *v)
{
	unsigned hi, lo;

	if (!wire_u16(w, &hi) || !wire_u16(w, &lo))
		return false;
	*v = (uint32_t)hi << 16 | lo;
	return true;
}

static bool label_char(unsigned char c)
{
	return ascii_isalnum(c) || c == '-' || c == '_' || c == '/';
}

/*
 * Reads the name at w->at and moves behind it.  False when the packet is malformed.  *ok tells whether it is a name in
 * text form; "" is the root.
 */
static bool wire_name(struct wire *w, char out[RS_MAX_NAME + 1], bool *ok)
{
	size_t at = w->at, limit = w->at, used = 0, total = 0;
	bool jumped = false;

	*ok = true;
	for (;;) {
		unsigned len;

		if (at >= w->n)
			return false;
		len = w->p[at++];
		if (len >= 0xc0) {
			size_t to;

			if (at >= w->n)
				return false;
			to = (len & 0x3fu) << 8 | w->p[at++];
			if (to >= limit || to < DNS_HEADER) /* only backwards: no loop is possible */
				return false;
			if (!jumped)
				w->at = at;
			jumped = true;
			limit = at = to;
			continue;
		}
		if (len > 63 || len > w->n - at)
			return false;
		if (len == 0)
			break;
		total += len + 1;
		if (total > 254)
			return false;
		if (used > 0)
			out[used++] = '.';
		for (unsigned i = 0; i < len; i++) {
			unsigned char c = w->p[at + i];

			*ok = *ok && label_char(c);
			out[used++] = (char)ascii_lower(c);
		}
		at += len;
	}
	if (!jumped)
		w->at = at;
	out[used] = '\0';
	return true;
}

static bool wire_record(struct wire *w, struct record *r)
{
	unsigned rdlen;

	if (!wire_name(w, r->owner, &r->owner_ok) || !wire_u16(w, &r->type) || !wire_u16(w, &r->class) ||
	    !wire_u32(w, &r->ttl) || !wire_u16(w, &rdlen) || rdlen > w->n - w->at)
		return false;
	if (r->ttl > DNS_MAX_TTL) /* RFC 2181 section 8: the top bit set means zero */
		r->ttl = r->ttl > INT32_MAX ? 0 : DNS_MAX_TTL;
	r->rdata = w->at;
	r->rdlen = rdlen;
	w->at += rdlen;
	return true;
}

bool dns_wire_name_ok(struct sv name)
{
	size_t label = 0;

	if (name.n > 0 && name.p[name.n - 1] == '.')
		name.n--;
	if (name.n == 0 || name.n > 253)
		return false;
	for (size_t i = 0; i <= name.n; i++) {
		if (i == name.n || name.p[i] == '.') {
			if (label == 0 || label > 63)
				return false;
			label = 0;
		} else if (!label_char((unsigned char)name.p[i])) {
			return false;
		} else {
			label++;
		}
	}
	return true;
}

/* A name inside rdata that must end where the rdata ends. */
static int rdata_name(const struct wire *w, const struct record *r, size_t skip, char out[RS_MAX_NAME + 1], bool *ok)
{
	struct wire sub = {w->p, w->n, r->rdata + skip};

	if (skip > r->rdlen || !wire_name(&sub, out, ok) || sub.at != r->rdata + r->rdlen)
		return ERR_PROTOCOL;
	return 0;
}

/* Sets *keep to false for a record that is well formed but of no use. */
static int add_name(const struct wire *w, const struct record *r, struct arena *mem, struct rs_record *out, bool *keep)
{
	size_t skip = r->type == RS_MX ? 2 : 0;
	char name[RS_MAX_NAME + 1];
	bool ok;

	if (rdata_name(w, r, skip, name, &ok) < 0)
		return ERR_PROTOCOL;
	if (skip > 0)
		out->preference = (uint32_t)w->p[r->rdata] << 8 | w->p[r->rdata + 1];
	*keep = ok;
	return arena_sv(mem, sv_str(name), &out->data);
}

static int add_txt(const struct wire *w, const struct record *r, struct arena *mem, struct rs_record *out)
{
	const unsigned char *p = w->p + r->rdata;
	char joined[RS_MAX_DATA];
	size_t n = 0;

	for (size_t at = 0; at < r->rdlen;) {
		size_t len = p[at++];

		if (len > r->rdlen - at)
			return ERR_PROTOCOL;
		if (len > sizeof(joined) - n) /* the tail of an overlong text is of no use to anybody */
			len = sizeof(joined) - n;
		memcpy(joined + n, p + at, len);
		n += len;
		at += p[at - 1];
	}
	return arena_sv(mem, sv_of(joined, n), &out->data);
}

static int add_record(const struct wire *w, const struct record *r, struct arena *mem, struct rs_answer *a)
{
	struct rs_record rec = {0};
	bool keep = true;
	int rc = 0;

	if (a->n == RS_MAX_RECORDS) {
		a->truncated = true;
		return 0;
	}
	switch (r->type) {
	case RS_A:
	case RS_AAAA:
		if (r->rdlen != (r->type == RS_A ? 4 : 16))
			return ERR_PROTOCOL;
		rc = arena_sv(mem, sv_of((const char *)w->p + r->rdata, r->rdlen), &rec.data);
		break;
	case RS_MX:
	case RS_PTR:
	case RS_CNAME: rc = add_name(w, r, mem, &rec, &keep); break;
	case RS_TXT: rc = add_txt(w, r, mem, &rec); break;
	default:
		keep = r->rdlen <= RS_MAX_DATA;
		if (keep)
			rc = arena_sv(mem, sv_of((const char *)w->p + r->rdata, r->rdlen), &rec.data);
		break;
	}
	if (rc < 0)
		return rc;
	if (r->ttl < a->ttl)
		a->ttl = r->ttl;
	if (keep)
		a->rr[a->n++] = rec;
	return 0;
}

/* Walks one section; `each` returns <0 to end it. */
static int walk(
    struct wire *w, unsigned count, int (*each)(const struct wire *, const struct record *, void *), void *arg)
{
	struct record r;
	int rc;

	for (unsigned i = 0; i < count; i++) {
		if (!wire_record(w, &r))
			return ERR_PROTOCOL;
		rc = each(w, &r, arg);
		if (rc < 0)
			return rc;
	}
	return 0;
}

struct reading {
	char current[RS_MAX_NAME + 1]; /* end of the CNAME chain so far */
	unsigned qtype;
	bool moved;
	struct arena *mem;
	struct rs_answer *a;
};

static int each_cname(const struct wire *w, const struct record *r, void *arg)
{
	struct reading *rd = arg;
	char target[RS_MAX_NAME + 1];
	bool ok;

	if (r->type != RS_CNAME || r->class != 1 || rd->moved || strcmp(r->owner, rd->current) != 0)
		return 0;
	if (rdata_name(w, r, 0, target, &ok) < 0)
		return ERR_PROTOCOL;
	if (!ok || target[0] == '\0')
		return 0;
	memcpy(rd->current, target, sizeof(target));
	if (r->ttl < rd->a->ttl)
		rd->a->ttl = r->ttl;
	rd->moved = true;
	return 0;
}

static int each_wanted(const struct wire *w, const struct record *r, void *arg)
{
	struct reading *rd = arg;

	if (r->type != rd->qtype || r->class != 1 || !r->owner_ok || strcmp(r->owner, rd->current) != 0)
		return 0;
	return add_record(w, r, rd->mem, rd->a);
}

/* SOA in the authority section: how long an absence may be kept (RFC 2308 section 5). */
static int each_soa(const struct wire *w, const struct record *r, void *arg)
{
	struct reading *rd = arg;
	const unsigned char *p = w->p + r->rdata + r->rdlen - 4;
	uint32_t minimum;

	if (r->type != 6 || r->class != 1 || r->rdlen < 22)
		return 0;
	minimum = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
	if (minimum > r->ttl)
		minimum = r->ttl;
	if (minimum < rd->a->ttl)
		rd->a->ttl = minimum;
	rd->moved = true;
	return 0;
}

static int skip_questions(struct wire *w, unsigned count)
{
	char name[RS_MAX_NAME + 1];
	unsigned v;
	bool ok;

	for (unsigned i = 0; i < count; i++)
		if (!wire_name(w, name, &ok) || !wire_u16(w, &v) || !wire_u16(w, &v))
			return ERR_PROTOCOL;
	return 0;
}

static int read_answers(struct wire *w, struct reading *rd, const unsigned counts[4])
{
	struct wire start = *w, pass;
	int rc;

	if (rd->qtype != RS_CNAME) {
		for (int i = 0; i < DNS_WIRE_MAX_CHAIN; i++) {
			pass = start;
			rd->moved = false;
			rc = walk(&pass, counts[1], each_cname, rd);
			if (rc < 0)
				return rc;
			if (!rd->moved)
				break;
		}
	}
	rc = walk(w, counts[1], each_wanted, rd);
	if (rc < 0)
		return rc;
	if (rd->a->n > 0)
		return 0;
	rd->moved = false;
	rc = walk(w, counts[2], each_soa, rd);
	if (!rd->moved && rd->a->ttl > DNS_NEGATIVE_TTL)
		rd->a->ttl = DNS_NEGATIVE_TTL;
	return rc;
}

int dns_wire_read(struct sv packet, struct sv qname, unsigned qtype, struct arena *mem, struct rs_answer *out)
{
	struct wire w = {(const unsigned char *)packet.p, packet.n, 0};
	struct rs_answer a = {.ttl = DNS_MAX_TTL};
	struct reading rd = {.qtype = qtype, .mem = mem, .a = &a};
	unsigned id, flags, counts[4];
	int rc;

	if (packet.n < DNS_HEADER || !wire_u16(&w, &id) || !wire_u16(&w, &flags))
		return ERR_PROTOCOL;
	for (int i = 0; i < 4; i++)
		wire_u16(&w, &counts[i]);
	if (!(flags & 0x8000) || counts[1] + counts[2] > DNS_WIRE_MAX_RECORDS || counts[0] > 1)
		return ERR_PROTOCOL;
	if (qname.n > 0 && qname.p[qname.n - 1] == '.')
		qname.n--;
	if (qname.n > RS_MAX_NAME)
		return ERR_PROTOCOL;
	for (size_t i = 0; i < qname.n; i++)
		rd.current[i] = (char)ascii_lower(qname.p[i]);
	if (skip_questions(&w, counts[0]) < 0)
		return ERR_PROTOCOL;
	rc = read_answers(&w, &rd, counts);
	if (rc < 0)
		return rc;
	a.status = (flags & 15) == 0 ? 0 : (flags & 15) == 3 ? ERR_NOT_FOUND : ERR_TEMP;
	if (a.status != 0)
		a.n = 0;
	rc = arena_sv(mem, sv_str(rd.current), &a.canon);
	if (rc < 0)
		return rc;
	*out = a;
	return 0;
}

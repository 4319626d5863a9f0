/* msg.c - encoding and decoding of typed fields; see msg.h. */
#include "ipc/msg.h"

#include <endian.h>

enum { FIELD_U64 = 'u', FIELD_I64 = 'i', FIELD_BYTES = 's' };

void msg_out_free(struct msg_out *m)
{
	buf_free(&m->b);
	m->nfds = 0;
}

static void put_number(struct msg_out *m, char type, uint64_t v)
{
	char field[9] = {type};
	v = htole64(v);
	memcpy(field + 1, &v, sizeof(v));
	buf_add(&m->b, field, sizeof(field)); /* past the bound: overflow is set, chan_send refuses the message */
}

void put_u64(struct msg_out *m, uint64_t v)
{
	put_number(m, FIELD_U64, v);
}

void put_i64(struct msg_out *m, int64_t v)
{
	put_number(m, FIELD_I64, (uint64_t)v);
}

void put_bool(struct msg_out *m, bool v)
{
	put_number(m, FIELD_U64, v);
}

void put_sv(struct msg_out *m, struct sv s)
{
	char *to = s.n > MSG_MAX_BODY ? NULL : buf_reserve(&m->b, 5 + s.n);
	if (to == NULL) {
		m->b.overflow = true;
		return;
	}
	uint32_t n = htole32((uint32_t)s.n);
	to[0] = FIELD_BYTES;
	memcpy(to + 1, &n, sizeof(n));
	if (s.n)
		memcpy(to + 5, s.p, s.n);
	m->b.n += 5 + s.n;
}

void put_str(struct msg_out *m, const char *s)
{
	put_sv(m, s != NULL ? sv_str(s) : SV(""));
}

void put_fd(struct msg_out *m, int fd)
{
	BUG_ON(m->nfds == MSG_MAX_FDS);
	m->fds[m->nfds++] = fd;
}

static bool bad(struct msg *m)
{
	m->bad = true;
	return false;
}

static bool get_number(struct msg *m, char type, uint64_t *v)
{
	if (m->bad || m->body.n < 9 || m->body.p[0] != type)
		return bad(m);
	uint64_t raw;
	memcpy(&raw, m->body.p + 1, sizeof(raw));
	*v = le64toh(raw);
	m->body = sv_skip(m->body, 9);
	return true;
}

bool get_u64(struct msg *m, uint64_t *v)
{
	return get_number(m, FIELD_U64, v);
}

bool get_u32(struct msg *m, uint32_t *v)
{
	uint64_t wide;
	if (!get_number(m, FIELD_U64, &wide))
		return false;
	if (wide > UINT32_MAX)
		return bad(m);
	*v = (uint32_t)wide;
	return true;
}

bool get_i64(struct msg *m, int64_t *v)
{
	uint64_t raw;
	if (!get_number(m, FIELD_I64, &raw))
		return false;
	*v = (int64_t)raw;
	return true;
}

bool get_bool(struct msg *m, bool *v)
{
	uint64_t raw;
	if (!get_number(m, FIELD_U64, &raw))
		return false;
	if (raw > 1)
		return bad(m);
	*v = raw == 1;
	return true;
}

bool get_sv(struct msg *m, struct sv *s)
{
	uint32_t n;
	if (m->bad || m->body.n < 5 || m->body.p[0] != FIELD_BYTES)
		return bad(m);
	memcpy(&n, m->body.p + 1, sizeof(n));
	n = le32toh(n);
	if (n > m->body.n - 5)
		return bad(m);
	*s = sv_of(m->body.p + 5, n);
	m->body = sv_skip(m->body, 5 + (size_t)n);
	return true;
}

bool get_svmax(struct msg *m, struct sv *s, size_t max)
{
	struct sv v;
	if (!get_sv(m, &v))
		return false;
	if (v.n > max)
		return bad(m);
	*s = v;
	return true;
}

bool get_text(struct msg *m, struct sv *s, size_t max)
{
	struct sv v;
	if (!get_svmax(m, &v, max))
		return false;
	if (sv_has_nul(v))
		return bad(m);
	*s = v;
	return true;
}

bool get_count(struct msg *m, size_t *n, size_t max)
{
	uint64_t v;
	if (!get_u64(m, &v))
		return false;
	if (v > max)
		return bad(m);
	*n = (size_t)v;
	return true;
}

int msg_take_fd(struct msg *m)
{
	if (m->nextfd >= m->nfds)
		return -1;
	int fd = m->fds[m->nextfd];
	m->fds[m->nextfd++] = -1;
	return fd;
}

bool msg_end(struct msg *m)
{
	return !m->bad && m->body.n == 0;
}

void msg_frame(char header[MSG_HEADER], uint32_t body, uint16_t type, uint8_t nfds, uint8_t version, uint32_t id)
{
	body = htole32(body);
	type = htole16(type);
	id = htole32(id);
	memcpy(header, &body, 4);
	memcpy(header + 4, &type, 2);
	header[6] = (char)nfds;
	header[7] = (char)version;
	memcpy(header + 8, &id, 4);
}

int msg_parse(struct sv in, size_t max_body, struct msg *m, size_t *used, unsigned *nfds)
{
	uint32_t body, id;
	uint16_t type;

	if (in.n < MSG_HEADER)
		return 0;
	memcpy(&body, in.p, 4);
	memcpy(&type, in.p + 4, 2);
	memcpy(&id, in.p + 8, 4);
	body = le32toh(body);
	if (body > max_body)
		return ERR_LIMIT;
	if ((unsigned char)in.p[6] > MSG_MAX_FDS)
		return ERR_PROTOCOL;
	if (in.n - MSG_HEADER < body)
		return 0;
	*m = (struct msg){.type = le16toh(type),
	    .version = (uint8_t)in.p[7],
	    .id = le32toh(id),
	    .body = sv_of(in.p + MSG_HEADER, body)};
	*used = MSG_HEADER + (size_t)body;
	*nfds = (unsigned char)in.p[6];
	return 1;
}

/* mime.c - streaming MIME parser; see mime.h. */
#include "message/mime.h"

#define CAND_MAX                                                                                                       \
	(MIME_BOUNDARY_MAX + 56) /* bytes kept of a line that may be a delimiter: "--", boundary, "--", blanks */
#define NODES_FIRST 4

/* A point in the message: bytes, bytes in CRLF form, line ends before it. */
struct point {
	uint64_t off, crlf, lines;
};

struct level {
	uint16_t node;
	struct sv boundary;
};

struct mime_parser {
	struct arena keep;
	struct mime_node *nodes;
	uint8_t *depth;		  /* of each node */
	struct point *hdr, *body; /* where header and body of each node begin */
	size_t n, cap;
	struct level stack[MIME_DEPTH_MAX];
	unsigned levels;
	size_t cur; /* the part that we are in */
	bool in_header;
	struct point now;      /* behind the last byte taken */
	struct point line;     /* where the current line begins */
	struct point prev_end; /* end of the line before it, its line end not counted */
	size_t col;	       /* bytes in the current line */
	bool last_cr;	       /* the last of them is a CR */
	char cand[CAND_MAX];
	size_t ncand;
	struct buf field; /* the header field that is being collected, lines ending in LF */
	bool field_cut;
	mime_raw_fn *on_field;
	void *arg;
	bool finished;
};

static size_t add_node(struct mime_parser *p, size_t parent, bool is_message)
{
	if (p->n == p->cap) {
		p->cap = p->cap ? p->cap * 2 : NODES_FIRST;
		p->nodes = xreallocarray(p->nodes, p->cap, sizeof(*p->nodes));
		p->depth = xreallocarray(p->depth, p->cap, sizeof(*p->depth));
		p->hdr = xreallocarray(p->hdr, p->cap, sizeof(*p->hdr));
		p->body = xreallocarray(p->body, p->cap, sizeof(*p->body));
	}
	size_t i = p->n++;
	p->nodes[i] = (struct mime_node){.part.parent = (uint16_t)parent, .is_message = is_message};
	p->depth[i] = i == 0 ? 0 : (uint8_t)(p->depth[parent] + 1);
	p->hdr[i] = p->body[i] = p->now;
	return i;
}

struct mime_parser *mime_parser_new(mime_raw_fn *on_field, void *arg)
{
	struct mime_parser *p = xcalloc(1, sizeof(*p));
	arena_init(&p->keep, MIME_KEEP_MAX);
	buf_init(&p->field, MIME_FIELD_MAX);
	p->on_field = on_field;
	p->arg = arg;
	add_node(p, 0, true);
	p->in_header = true;
	return p;
}

void mime_parser_free(struct mime_parser **pp)
{
	struct mime_parser *p = *pp;
	if (p == NULL)
		return;
	arena_clear(&p->keep);
	buf_free(&p->field);
	free(p->nodes);
	free(p->depth);
	free(p->hdr);
	free(p->body);
	free(p);
	*pp = NULL;
}

/* ---- header fields ---- */

static const struct {
	const char *name;
	uint8_t id;
	bool envelope;
} fields[] = {
    {"content-type", MIME_F_TYPE, false},
    {"content-transfer-encoding", MIME_F_ENCODING, false},
    {"content-id", MIME_F_ID, false},
    {"content-description", MIME_F_DESCRIPTION, false},
    {"content-disposition", MIME_F_DISPOSITION, false},
    {"content-language", MIME_F_LANGUAGE, false},
    {"content-location", MIME_F_LOCATION, false},
    {"content-md5", MIME_F_MD5, false},
    {"date", MIME_F_DATE, true},
    {"subject", MIME_F_SUBJECT, true},
    {"from", MIME_F_FROM, true},
    {"sender", MIME_F_SENDER, true},
    {"reply-to", MIME_F_REPLY_TO, true},
    {"to", MIME_F_TO, true},
    {"cc", MIME_F_CC, true},
    {"bcc", MIME_F_BCC, true},
    {"in-reply-to", MIME_F_IN_REPLY_TO, true},
    {"message-id", MIME_F_MESSAGE_ID, true},
};

static uint8_t field_id(struct sv name, bool envelope)
{
	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		if ((envelope || !fields[i].envelope) && sv_ieqs(name, fields[i].name))
			return fields[i].id;
	return MIME_F_NONE;
}

/* Keeps the unfolded value; a field that the arena has no room for is as if it were not there. */
static void keep_field(struct mime_parser *p, struct mime_node *node, uint8_t id, struct sv value)
{
	value = sv_trim(value);
	struct mime_field *f = arena_alloc(&p->keep, sizeof(*f));
	char *text = f ? arena_alloc(&p->keep, value.n + 1) : NULL;
	if (text == NULL)
		return;
	size_t n = 0;
	for (size_t i = 0; i < value.n; i++)
		if (value.p[i] != '\n' && value.p[i] != '\r')
			text[n++] = value.p[i];
	f->id = id;
	f->value = sv_of(text, n);
	if (node->last_field != NULL)
		node->last_field->next = f;
	else
		node->fields = f;
	node->last_field = f;
}

static void field_done(struct mime_parser *p)
{
	struct sv raw = buf_sv(&p->field);
	ssize_t colon = sv_chr(raw, ':');
	if (raw.n > 0 && colon > 0) {
		struct sv name = sv_head(raw, (size_t)colon);
		while (name.n > 0 && (name.p[name.n - 1] == ' ' || name.p[name.n - 1] == '\t'))
			name.n--;
		struct mime_node *node = &p->nodes[p->cur];
		uint8_t id = field_id(name, node->is_message);
		if (id != MIME_F_NONE)
			keep_field(p, node, id, sv_skip(raw, (size_t)colon + 1));
		if (p->cur == 0 && p->on_field != NULL && name.n > 0)
			p->on_field(p->arg, name, raw, p->field_cut);
	}
	buf_reset(&p->field);
	p->field_cut = false;
}

static void field_add(struct mime_parser *p, const char *s, size_t n)
{
	size_t room = p->field.max - p->field.n;
	if (n > room) {
		n = room;
		p->field_cut = true;
	}
	buf_add(&p->field, s, n);
}

/* ---- parts ---- */

static uint32_t clamp32(uint64_t v)
{
	return v > UINT32_MAX ? UINT32_MAX : (uint32_t)v;
}

static void header_ends(struct mime_parser *p, size_t i, struct point at)
{
	struct mime_part *part = &p->nodes[i].part;
	part->hdr_off = clamp32(p->hdr[i].off);
	part->hdr_len = clamp32(at.off - p->hdr[i].off);
	part->hdr_crlf = clamp32(at.crlf - p->hdr[i].crlf);
	part->hdr_lines = clamp32(at.lines - p->hdr[i].lines);
	part->body_off = clamp32(at.off);
	p->body[i] = at;
}

static void body_ends(struct mime_parser *p, size_t i, struct point at)
{
	struct mime_part *part = &p->nodes[i].part;
	if (at.off < p->body[i].off)
		at = p->body[i]; /* the line end before the delimiter is that of the header */
	part->body_len = clamp32(at.off - p->body[i].off);
	part->body_crlf = clamp32(at.crlf - p->body[i].crlf);
	part->body_lines = clamp32(at.lines - p->body[i].lines);
}

static void set_type(struct mime_node *node, const char *type, const char *subtype)
{
	node->type = sv_str(type);
	node->subtype = sv_str(subtype);
	node->params = SV_NONE;
	node->default_type = true;
}

static bool is_type(const struct mime_node *node, const char *type, const char *subtype)
{
	return sv_ieqs(node->type, type) && (subtype == NULL || sv_ieqs(node->subtype, subtype));
}

/* Type of the part from its fields, or the default of its place (RFC 2046 section 5.1.5: digest). */
static void find_type(struct mime_parser *p, size_t i)
{
	struct mime_node *node = &p->nodes[i];
	for (const struct mime_field *f = node->fields; f != NULL; f = f->next)
		if (f->id == MIME_F_TYPE && mime_type(f->value, &node->type, &node->subtype, &node->params))
			return;
	const struct mime_node *parent = &p->nodes[node->part.parent];
	if (i != 0 && parent->part.kind == MIME_MULTIPART && is_type(parent, "multipart", "digest"))
		set_type(node, "message", "rfc822");
	else
		set_type(node, "text", "plain");
}

static bool find_boundary(struct mime_parser *p, const struct mime_node *node, struct sv *boundary)
{
	struct sv rest = node->params, name, value;
	while (mime_param(&rest, &p->keep, &name, &value)) {
		if (!sv_ieqs(name, "boundary"))
			continue;
		while (value.n > 0 && (value.p[value.n - 1] == ' ' || value.p[value.n - 1] == '\t'))
			value.n--;
		if (value.n == 0 || value.n > MIME_BOUNDARY_MAX)
			return false;
		*boundary = value;
		return true;
	}
	return false;
}

/* The header of the current part is complete: `at` is where its body begins. */
static void begin_body(struct mime_parser *p, struct point at)
{
	size_t i = p->cur;
	struct sv boundary;
	header_ends(p, i, at);
	find_type(p, i);
	struct mime_node *node = &p->nodes[i];
	p->in_header = false;
	if (is_type(node, "multipart", NULL)) {
		if (p->levels < MIME_DEPTH_MAX && p->depth[i] < MIME_DEPTH_MAX && find_boundary(p, node, &boundary)) {
			node->part.kind = MIME_MULTIPART;
			p->stack[p->levels++] = (struct level){(uint16_t)i, boundary};
		} else {
			/* BODYSTRUCTURE has no form for a multipart that cannot be taken apart. */
			set_type(node, "text", "plain");
		}
	} else if (is_type(node, "message", "rfc822")) {
		if (p->depth[i] < MIME_DEPTH_MAX && p->n < MIME_PARTS_MAX) {
			node->part.kind = MIME_MESSAGE;
			p->cur = add_node(p, i, true);
			p->hdr[p->cur] = p->body[p->cur] = at;
			p->in_header = true;
		} else {
			set_type(node, "application", "octet-stream");
		}
	}
	p->nodes[i].part.text = is_type(&p->nodes[i], "text", NULL);
}

/* Ends the current part and those around it that are inside of node `stop`. */
static void close_up_to(struct mime_parser *p, size_t stop, struct point header_end, struct point body_end)
{
	size_t i = p->cur;
	if (p->in_header) {
		/* A part that is all header: what would be nested in it does not come any more. */
		header_ends(p, i, header_end);
		find_type(p, i);
		if (is_type(&p->nodes[i], "multipart", NULL))
			set_type(&p->nodes[i], "text", "plain");
		else if (is_type(&p->nodes[i], "message", "rfc822"))
			set_type(&p->nodes[i], "application", "octet-stream");
		p->nodes[i].part.text = is_type(&p->nodes[i], "text", NULL);
		p->in_header = false;
		body_ends(p, i, header_end);
		if (i == stop || i == 0)
			return;
		i = p->nodes[i].part.parent;
		if (body_end.off < header_end.off)
			body_end = header_end;
	}
	for (; i != stop; i = p->nodes[i].part.parent) {
		body_ends(p, i, body_end);
		if (i == 0)
			return;
	}
}

/* Is the line in cand a delimiter of an open multipart?  Level + 1, negative for a closing one, 0 for none. */
static int delimiter(const struct mime_parser *p, size_t line_len)
{
	struct sv s = sv_of(p->cand, p->ncand);
	if (p->ncand < 3 || line_len > CAND_MAX || s.p[0] != '-' || s.p[1] != '-')
		return 0;
	s = sv_skip(s, 2);
	while (s.n > 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t' || s.p[s.n - 1] == '\r'))
		s.n--;
	for (int pass = 0; pass < 2; pass++) {
		for (unsigned k = p->levels; k-- > 0;)
			if (sv_eq(s, p->stack[k].boundary))
				return pass == 0 ? (int)k + 1 : -(int)k - 1;
		if (s.n < 2 || !sv_ends(s, SV("--")))
			return 0;
		s.n -= 2;
	}
	return 0;
}

/* A delimiter line was read (its line end too).  False when it is one part too many and stays text. */
static bool take_delimiter(struct mime_parser *p, int found)
{
	unsigned k = (unsigned)(found > 0 ? found : -found) - 1;
	size_t multipart = p->stack[k].node;
	if (found > 0 && p->n >= MIME_PARTS_MAX)
		return false;
	buf_reset(&p->field);
	p->field_cut = false;
	close_up_to(p, multipart, p->line, p->prev_end);
	if (found > 0) {
		p->levels = k + 1;
		p->cur = add_node(p, multipart, false);
		p->in_header = true;
	} else {
		p->levels = k;
		p->cur = multipart;
	}
	return true;
}

/* ---- bytes and lines ---- */

static void line_bytes(struct mime_parser *p, const char *s, size_t n)
{
	if (p->levels > 0 && p->ncand == p->col && p->ncand < CAND_MAX && (p->ncand > 0 || s[0] == '-')) {
		size_t take = n < CAND_MAX - p->ncand ? n : CAND_MAX - p->ncand;
		memcpy(p->cand + p->ncand, s, take);
		p->ncand += take;
	}
	if (p->in_header) {
		if (p->col == 0 && s[0] != ' ' && s[0] != '\t')
			field_done(p);
		field_add(p, s, n);
	}
	p->col += n;
	p->last_cr = s[n - 1] == '\r';
	p->now.off += n;
	p->now.crlf += n;
}

/* The current line is complete; `lf` says that an LF ended it (the end of the message may, too). */
static void line_end(struct mime_parser *p, bool lf)
{
	struct point end = p->now;
	if (p->last_cr) {
		end.off--;
		end.crlf--;
	}
	size_t len = p->col - (p->last_cr ? 1 : 0);
	if (lf) {
		p->now.off++;
		p->now.crlf += p->last_cr ? 1 : 2;
		p->now.lines++;
	}
	int found = p->ncand > 0 ? delimiter(p, len) : 0;
	if (found != 0 && take_delimiter(p, found)) {
		/* done */
	} else if (p->in_header && len == 0 && lf) {
		if (p->last_cr)
			buf_reset(&p->field); /* the field before it is done; this is the CR of the empty line */
		field_done(p);
		begin_body(p, p->now);
	} else if (p->in_header) {
		if (p->last_cr && !p->field_cut)
			p->field.n--;
		field_add(p, "\n", 1);
	}
	p->prev_end = end;
	p->line = p->now;
	p->col = 0;
	p->ncand = 0;
	p->last_cr = false;
}

void mime_parser_feed(struct mime_parser *p, struct sv bytes)
{
	const char *s = bytes.p, *end = bytes.p + bytes.n;
	while (s < end) {
		const char *lf = memchr(s, '\n', (size_t)(end - s));
		const char *stop = lf ? lf : end;
		if (stop > s)
			line_bytes(p, s, (size_t)(stop - s));
		if (lf == NULL)
			return;
		line_end(p, true);
		s = lf + 1;
	}
}

void mime_parser_finish(struct mime_parser *p)
{
	BUG_ON(p->finished);
	p->finished = true;
	if (p->col > 0)
		line_end(p, false);
	if (p->in_header)
		field_done(p);
	close_up_to(p, SIZE_MAX, p->now, p->now);
}

size_t mime_parser_count(const struct mime_parser *p)
{
	return p->n;
}

const struct mime_node *mime_parser_node(const struct mime_parser *p, size_t i)
{
	BUG_ON(i >= p->n);
	return &p->nodes[i];
}

uint64_t mime_parser_size(const struct mime_parser *p)
{
	return p->now.off;
}

uint64_t mime_parser_size_crlf(const struct mime_parser *p)
{
	return p->now.crlf;
}

uint64_t mime_parser_lines(const struct mime_parser *p)
{
	return p->now.lines;
}

/* mime_tree.c - ENVELOPE and BODYSTRUCTURE; see mime_tree.h. */
#include "message/mime_tree.h"

#include "message/addr.h"

#define QUOTED_MAX 1000 /* longer strings go as literals */
#define ADDR_ARENA (4u << 20)
#define PARAM_ARENA (256u << 10)

void mime_put_nstring(struct buf *out, struct sv s)
{
	if (s.p == NULL) {
		buf_adds(out, "NIL");
		return;
	}
	bool plain = s.n <= QUOTED_MAX, nul = false;
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c >= 0x80 || c == '\r' || c == '\n')
			plain = false;
		nul |= c == 0;
	}
	if (plain)
		buf_addc(out, '"');
	else
		buf_printf(out, "{%zu}\r\n", s.n);
	size_t from = 0;
	for (size_t i = 0; i < s.n && (plain || nul); i++) {
		char c = s.p[i];
		if (c != '\0' && !(plain && (c == '"' || c == '\\')))
			continue;
		buf_add(out, s.p + from, i - from);
		from = i + 1;
		if (c == '\0') {
			buf_addc(out, '?');
		} else {
			buf_addc(out, '\\');
			from = i;
		}
	}
	buf_add(out, s.p + from, s.n - from);
	if (plain)
		buf_addc(out, '"');
}

static const struct mime_field *find_field(const struct mime_node *node, uint8_t id)
{
	for (const struct mime_field *f = node->fields; f != NULL; f = f->next)
		if (f->id == id)
			return f;
	return NULL;
}

static void put_field(const struct mime_node *node, uint8_t id, struct buf *out)
{
	const struct mime_field *f = find_field(node, id);
	mime_put_nstring(out, f ? f->value : SV_NONE);
}

/* ---- ENVELOPE ---- */

static struct sv or_missing(struct sv s, const char *missing)
{
	return s.n > 0 ? s : sv_str(missing);
}

static void put_address(const struct addr *a, struct buf *out)
{
	buf_addc(out, '(');
	if (a->kind != ADDR_MAILBOX) {
		buf_adds(out, "NIL NIL ");
		mime_put_nstring(
		    out, a->kind == ADDR_GROUP_BEGIN ? sv_of(a->name.p ? a->name.p : "", a->name.n) : SV_NONE);
		buf_adds(out, " NIL)");
		return;
	}
	mime_put_nstring(out, a->name.n ? a->name : SV_NONE);
	buf_addc(out, ' ');
	mime_put_nstring(out, a->route.n ? a->route : SV_NONE);
	buf_addc(out, ' ');
	/* A host that is NIL means a group (RFC 3501 section 7.4.2), so what is missing gets a name, as Dovecot has it.
	 */
	mime_put_nstring(out, or_missing(a->local, "MISSING_MAILBOX"));
	buf_addc(out, ' ');
	mime_put_nstring(out, or_missing(a->domain, "MISSING_DOMAIN"));
	buf_addc(out, ')');
}

/* All fields of this kind as one list; false (nothing appended) when there is no address in them. */
static bool put_addresses(const struct mime_node *node, uint8_t id, struct buf *out)
{
	struct arena arena;
	bool any = false;
	for (const struct mime_field *f = node->fields; f != NULL; f = f->next) {
		struct addr_list list;
		if (f->id != id)
			continue;
		arena_init(&arena, ADDR_ARENA);
		if (addr_parse(&arena, f->value, MIME_ADDRESSES_MAX, &list) == 0) {
			for (size_t i = 0; i < list.n; i++) {
				if (!any)
					buf_addc(out, '(');
				any = true;
				put_address(&list.v[i], out);
			}
		}
		arena_clear(&arena);
	}
	if (any)
		buf_addc(out, ')');
	return any;
}

static void put_addresses_or(const struct mime_node *node, uint8_t id, uint8_t instead, struct buf *out)
{
	if (!put_addresses(node, id, out) && (instead == MIME_F_NONE || !put_addresses(node, instead, out)))
		buf_adds(out, "NIL");
}

void mime_put_envelope(const struct mime_parser *p, size_t i, struct buf *out)
{
	static const struct {
		uint8_t id, instead;
	} lists[] = {
	    {MIME_F_FROM, MIME_F_NONE},
	    {MIME_F_SENDER, MIME_F_FROM},
	    {MIME_F_REPLY_TO, MIME_F_FROM},
	    {MIME_F_TO, MIME_F_NONE},
	    {MIME_F_CC, MIME_F_NONE},
	    {MIME_F_BCC, MIME_F_NONE},
	};
	const struct mime_node *node = mime_parser_node(p, i);
	buf_addc(out, '(');
	put_field(node, MIME_F_DATE, out);
	buf_addc(out, ' ');
	put_field(node, MIME_F_SUBJECT, out);
	for (size_t k = 0; k < ARRAY_LEN(lists); k++) {
		buf_addc(out, ' ');
		put_addresses_or(node, lists[k].id, lists[k].instead, out);
	}
	buf_addc(out, ' ');
	put_field(node, MIME_F_IN_REPLY_TO, out);
	buf_addc(out, ' ');
	put_field(node, MIME_F_MESSAGE_ID, out);
	buf_addc(out, ')');
}

/* ---- BODYSTRUCTURE ---- */

static void put_params(struct sv params, bool default_charset, struct buf *out)
{
	struct arena arena;
	struct sv name, value;
	bool charset = false;
	size_t n = 0;

	arena_init(&arena, PARAM_ARENA);
	while (n < MIME_PARAMS_MAX && mime_param(&params, &arena, &name, &value)) {
		buf_addc(out, n++ == 0 ? '(' : ' ');
		mime_put_nstring(out, name);
		buf_addc(out, ' ');
		mime_put_nstring(out, sv_of(value.p ? value.p : "", value.n));
		charset |= sv_ieqs(name, "charset");
	}
	arena_clear(&arena);
	if (default_charset && !charset) {
		buf_addc(out, n++ == 0 ? '(' : ' ');
		buf_adds(out, "\"charset\" \"us-ascii\"");
	}
	buf_adds(out, n == 0 ? "NIL" : ")");
}

static void put_disposition(const struct mime_node *node, struct buf *out)
{
	const struct mime_field *f = find_field(node, MIME_F_DISPOSITION);
	struct sv rest = f ? f->value : SV_NONE, token;
	if (f == NULL || !mime_token(&rest, &token)) {
		buf_adds(out, "NIL");
		return;
	}
	buf_addc(out, '(');
	mime_put_nstring(out, token);
	buf_addc(out, ' ');
	put_params(rest, false, out);
	buf_addc(out, ')');
}

static void put_language(const struct mime_node *node, struct buf *out)
{
	const struct mime_field *f = find_field(node, MIME_F_LANGUAGE);
	struct sv rest = f ? f->value : SV_NONE, token;
	size_t n = 0;
	while (n < MIME_PARAMS_MAX && f != NULL && mime_token(&rest, &token)) {
		buf_addc(out, n++ == 0 ? '(' : ' ');
		mime_put_nstring(out, token);
		ssize_t comma = sv_chr(rest, ',');
		rest = comma < 0 ? SV_NONE : sv_skip(rest, (size_t)comma + 1);
	}
	buf_adds(out, n == 0 ? "NIL" : ")");
}

static void put_extension_end(const struct mime_node *node, struct buf *out)
{
	buf_addc(out, ' ');
	put_disposition(node, out);
	buf_addc(out, ' ');
	put_language(node, out);
	buf_addc(out, ' ');
	put_field(node, MIME_F_LOCATION, out);
}

static void put_leaf(const struct mime_parser *p, size_t i, struct buf *out)
{
	const struct mime_node *node = mime_parser_node(p, i);
	const struct mime_part *part = &node->part;
	const struct mime_field *f = find_field(node, MIME_F_ENCODING);
	struct sv rest = f ? f->value : SV_NONE, token;

	buf_addc(out, '(');
	mime_put_nstring(out, node->type);
	buf_addc(out, ' ');
	mime_put_nstring(out, node->subtype);
	buf_addc(out, ' ');
	put_params(node->params, part->text != 0, out);
	buf_addc(out, ' ');
	put_field(node, MIME_F_ID, out);
	buf_addc(out, ' ');
	put_field(node, MIME_F_DESCRIPTION, out);
	buf_addc(out, ' ');
	mime_put_nstring(out, f != NULL && mime_token(&rest, &token) ? token : SV("7bit"));
	buf_printf(out, " %u", part->body_crlf);
	if (part->kind == MIME_MESSAGE) {
		buf_addc(out, ' ');
		mime_put_envelope(p, i + 1, out);
		buf_addc(out, ' ');
		mime_put_bodystructure(p, i + 1, out);
	}
	if (part->kind == MIME_MESSAGE || part->text)
		buf_printf(out, " %u", part->body_lines);
	buf_addc(out, ' ');
	put_field(node, MIME_F_MD5, out);
	put_extension_end(node, out);
	buf_addc(out, ')');
}

static void put_multipart(const struct mime_parser *p, size_t i, struct buf *out)
{
	const struct mime_node *node = mime_parser_node(p, i);
	size_t n = mime_parser_count(p), children = 0;
	buf_addc(out, '(');
	for (size_t k = i + 1; k < n && !out->overflow; k++) {
		const struct mime_part *part = &mime_parser_node(p, k)->part;
		if (part->parent < i)
			break; /* behind the last of what is in here */
		if (part->parent != i)
			continue;
		mime_put_bodystructure(p, k, out);
		children++;
	}
	if (children == 0) /* the grammar asks for one */
		buf_adds(out, "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0 NIL NIL NIL NIL)");
	buf_addc(out, ' ');
	mime_put_nstring(out, node->subtype);
	buf_addc(out, ' ');
	put_params(node->params, false, out);
	put_extension_end(node, out);
	buf_addc(out, ')');
}

void mime_put_bodystructure(const struct mime_parser *p, size_t i, struct buf *out)
{
	if (mime_parser_node(p, i)->part.kind == MIME_MULTIPART)
		put_multipart(p, i, out);
	else
		put_leaf(p, i, out);
}

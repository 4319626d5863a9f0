/* imap_item.c - FETCH items; see imap_item.h. */
#include "proto/imap_item.h"

#include "proto/imap_fmt.h"

#define LABEL_MAX (IMAP_LINE_MAX + 1024)

static const struct {
	const char *name;
	struct imap_item item;
} simple[] = {
    {"UID", {.kind = IMAP_ITEM_UID}},
    {"FLAGS", {.kind = IMAP_ITEM_FLAGS}},
    {"INTERNALDATE", {.kind = IMAP_ITEM_INTERNALDATE}},
    {"RFC822.SIZE", {.kind = IMAP_ITEM_SIZE}},
    {"ENVELOPE", {.kind = IMAP_ITEM_ENVELOPE}},
    {"BODYSTRUCTURE", {.kind = IMAP_ITEM_BODYSTRUCTURE}},
    {"BODY", {.kind = IMAP_ITEM_BODY}},
    {"RFC822", {.kind = IMAP_ITEM_SECTION, .section = IMAP_SEC_ALL}},
    {"RFC822.HEADER", {.kind = IMAP_ITEM_SECTION, .section = IMAP_SEC_HEADER, .peek = true}},
    {"RFC822.TEXT", {.kind = IMAP_ITEM_SECTION, .section = IMAP_SEC_TEXT}},
};

static const struct {
	const char *name;
	uint8_t kinds[5], n;
} macros[] = {
    {"ALL", {IMAP_ITEM_FLAGS, IMAP_ITEM_INTERNALDATE, IMAP_ITEM_SIZE, IMAP_ITEM_ENVELOPE}, 4},
    {"FAST", {IMAP_ITEM_FLAGS, IMAP_ITEM_INTERNALDATE, IMAP_ITEM_SIZE}, 3},
    {"FULL", {IMAP_ITEM_FLAGS, IMAP_ITEM_INTERNALDATE, IMAP_ITEM_SIZE, IMAP_ITEM_ENVELOPE, IMAP_ITEM_BODY}, 5},
};

static const struct {
	const char *name;
	enum imap_section section;
} sections[] = {
    {"HEADER", IMAP_SEC_HEADER},
    {"HEADER.FIELDS", IMAP_SEC_FIELDS},
    {"HEADER.FIELDS.NOT", IMAP_SEC_FIELDS_NOT},
    {"TEXT", IMAP_SEC_TEXT},
    {"MIME", IMAP_SEC_MIME},
};

static int syntax(struct err *err, const char *what)
{
	return err_set(err, ERR_SYNTAX, "%s", what);
}

static int limit(struct err *err)
{
	return err_set(err, ERR_LIMIT, "Too many FETCH items");
}

/* Letters, digits and dots: item names end at '[', '<', ' ' or ')'. */
static struct sv take_name(struct imap_lex *l)
{
	size_t n = 0;
	while (n < l->in.n && (ascii_isalnum(l->in.p[n]) || l->in.p[n] == '.'))
		n++;
	struct sv s = sv_head(l->in, n);
	l->in = sv_skip(l->in, n);
	return s;
}

/* "1.2." in front of a section text, or all of it: the numbers. */
static int take_path(struct imap_lex *l, struct imap_item *it, struct err *err)
{
	uint32_t path[IMAP_PATH_MAX];
	while (l->in.n > 0 && ascii_isdigit(l->in.p[0])) {
		if (it->npath == IMAP_PATH_MAX)
			return err_set(err, ERR_LIMIT, "Part too deep");
		if (!imap_lex_number(l, &path[it->npath]) || path[it->npath] == 0)
			return syntax(err, "Invalid part number");
		it->npath++;
		if (!imap_lex_char(l, '.'))
			break;
		if (imap_lex_end(l) || imap_lex_peek(l, ']'))
			return syntax(err, "Invalid section");
	}
	if (it->npath > 0) {
		it->path = arena_alloc(l->arena, it->npath * sizeof(*path));
		if (it->path == NULL)
			return limit(err);
		memcpy(it->path, path, it->npath * sizeof(*path));
	}
	return 0;
}

static int take_fields(struct imap_lex *l, struct imap_item *it, struct err *err)
{
	struct sv names[IMAP_FIELDS_MAX];
	if (!imap_lex_sp(l) || !imap_lex_char(l, '('))
		return syntax(err, "Header list missing");
	do {
		if (it->nfields == IMAP_FIELDS_MAX)
			return err_set(err, ERR_LIMIT, "Too many header names");
		if (!imap_lex_astring(l, &names[it->nfields]) || names[it->nfields].n == 0)
			return syntax(err, "Invalid header list");
		it->nfields++;
	} while (imap_lex_sp(l));
	if (!imap_lex_char(l, ')'))
		return syntax(err, "Invalid header list");
	it->fields = arena_alloc(l->arena, it->nfields * sizeof(*names));
	if (it->fields == NULL)
		return limit(err);
	memcpy(it->fields, names, it->nfields * sizeof(*names));
	return 0;
}

static int take_partial(struct imap_lex *l, struct imap_item *it, struct err *err)
{
	if (!imap_lex_char(l, '<'))
		return 0;
	if (!imap_lex_number64(l, &it->offset) || !imap_lex_char(l, '.') || !imap_lex_number64(l, &it->length) ||
	    it->length == 0 || !imap_lex_char(l, '>'))
		return syntax(err, "Invalid partial");
	it->partial = true;
	return 0;
}

static int make_label(struct imap_lex *l, struct imap_item *it, const char *section, struct err *err)
{
	CLEANUP(buf_freep) struct buf b = BUF_INIT(LABEL_MAX);
	buf_adds(&b, "BODY[");
	for (unsigned i = 0; i < it->npath; i++)
		buf_printf(&b, "%s%u", i ? "." : "", it->path[i]);
	if (section != NULL)
		buf_printf(&b, "%s%s", it->npath ? "." : "", section);
	for (size_t i = 0; i < it->nfields; i++) {
		buf_adds(&b, i ? " " : " (");
		imap_put_astring(&b, it->fields[i]);
	}
	buf_adds(&b, it->nfields ? ")]" : "]");
	if (it->partial)
		buf_printf(&b, "<%llu>", (unsigned long long)it->offset);
	return b.overflow || arena_sv(l->arena, buf_sv(&b), &it->label) != 0 ? limit(err) : 0;
}

/* Behind "BODY[" or "BODY.PEEK[". */
static int take_section(struct imap_lex *l, struct imap_item *it, struct err *err)
{
	int r = take_path(l, it, err);
	const char *name = NULL;
	if (r != 0)
		return r;
	if (!imap_lex_peek(l, ']')) {
		struct sv text = take_name(l);
		for (size_t i = 0; i < ARRAY_LEN(sections) && name == NULL; i++) {
			if (sv_ieqs(text, sections[i].name)) {
				name = sections[i].name;
				it->section = sections[i].section;
			}
		}
		if (name == NULL || (it->section == IMAP_SEC_MIME && it->npath == 0))
			return syntax(err, "Unknown section");
		if (it->section == IMAP_SEC_FIELDS || it->section == IMAP_SEC_FIELDS_NOT)
			r = take_fields(l, it, err);
	}
	if (r != 0)
		return r;
	if (!imap_lex_char(l, ']'))
		return syntax(err, "Missing ']'");
	r = take_partial(l, it, err);
	return r != 0 ? r : make_label(l, it, name, err);
}

static int take_item(struct imap_lex *l, struct imap_item *it, struct err *err)
{
	struct sv name = take_name(l);
	bool peek = sv_ieqs(name, "BODY.PEEK");
	if (imap_lex_peek(l, '[') && (peek || sv_ieqs(name, "BODY"))) {
		imap_lex_char(l, '[');
		*it = (struct imap_item){.kind = IMAP_ITEM_SECTION, .peek = peek};
		return take_section(l, it, err);
	}
	for (size_t i = 0; i < ARRAY_LEN(simple); i++) {
		if (sv_ieqs(name, simple[i].name)) {
			*it = simple[i].item;
			it->label = sv_str(simple[i].name);
			return 0;
		}
	}
	return syntax(err, "Unknown FETCH item");
}

static bool macro(struct sv name, struct imap_item *v, size_t *n)
{
	for (size_t i = 0; i < ARRAY_LEN(macros); i++) {
		if (!sv_ieqs(name, macros[i].name))
			continue;
		for (*n = 0; *n < macros[i].n; ++*n)
			v[*n] = (struct imap_item){.kind = macros[i].kinds[*n]};
		return true;
	}
	return false;
}

int imap_items_parse(struct imap_lex *l, struct imap_items *out, struct err *err)
{
	struct imap_item *v = arena_alloc(l->arena, IMAP_ITEMS_MAX * sizeof(*v));
	struct imap_lex save = *l;
	size_t n = 0;
	int r = 0;
	if (v == NULL)
		return limit(err);
	if (!macro(take_name(l), v, &n)) {
		*l = save;
		bool list = imap_lex_char(l, '(');
		do {
			if (n == IMAP_ITEMS_MAX)
				return limit(err);
			r = take_item(l, &v[n++], err);
		} while (r == 0 && list && imap_lex_sp(l));
		if (r != 0)
			return r;
		if (list && !imap_lex_char(l, ')'))
			return syntax(err, "Missing ')'");
	}
	if (!imap_lex_end(l))
		return syntax(err, "Unexpected text behind the FETCH items");
	*out = (struct imap_items){v, n};
	return 0;
}

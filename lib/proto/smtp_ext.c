/* smtp_ext.c - EHLO keywords; see smtp_ext.h. */
#include "proto/smtp_ext.h"

#include "base/num.h"

static const struct {
	const char *name;
	enum smtp_ext ext;
} table[] = {
    {"PIPELINING", SMTP_EXT_PIPELINING},
    {"SIZE", SMTP_EXT_SIZE},
    {"VRFY", SMTP_EXT_VRFY},
    {"ETRN", SMTP_EXT_ETRN},
    {"STARTTLS", SMTP_EXT_STARTTLS},
    {"AUTH", SMTP_EXT_AUTH},
    {"ENHANCEDSTATUSCODES", SMTP_EXT_ENHANCEDSTATUSCODES},
    {"8BITMIME", SMTP_EXT_8BITMIME},
    {"DSN", SMTP_EXT_DSN},
    {"SMTPUTF8", SMTP_EXT_SMTPUTF8},
    {"CHUNKING", SMTP_EXT_CHUNKING},
    {"XFORWARD", SMTP_EXT_XFORWARD},
    {"XCLIENT", SMTP_EXT_XCLIENT},
    {"BINARYMIME", SMTP_EXT_BINARYMIME},
    {"SILENT-DISCARD", SMTP_EXT_SILENT},
};

static int find(struct sv word, enum smtp_ext *ext)
{
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		if (sv_ieqs(word, table[i].name)) {
			*ext = table[i].ext;
			return 0;
		}
	}
	return ERR_NOT_FOUND;
}

static void add_mechs(struct smtp_ext_set *set, struct sv rest)
{
	size_t used = strlen(set->mechs);
	struct sv mech;

	while (sv_token(&rest, " \t=", &mech)) {
		if (used + mech.n + 1 > SMTP_AUTH_MECHS_MAX || sv_has_nul(mech))
			return;
		if (used > 0)
			set->mechs[used++] = ' ';
		memcpy(set->mechs + used, mech.p, mech.n);
		used += mech.n;
		set->mechs[used] = '\0';
	}
}

void smtp_ext_line(struct smtp_ext_set *set, struct sv line)
{
	struct sv rest = line, word, value;
	enum smtp_ext ext;

	if (!sv_token(&rest, " \t", &word))
		return;
	if (sv_istarts(word, SV("AUTH="))) { /* the form of old servers: "AUTH=LOGIN PLAIN" */
		set->mask |= SMTP_EXT_AUTH;
		if (set->mechs[0] == '\0')
			add_mechs(set, sv_skip(sv_trim(line), 5));
		return;
	}
	if (find(word, &ext) < 0 || ext == SMTP_EXT_SILENT)
		return;
	set->mask |= ext;
	if (ext == SMTP_EXT_SIZE && sv_token(&rest, " \t", &value) && num_u64(value, &set->size) < 0)
		set->size = 0;
	if (ext == SMTP_EXT_AUTH && set->mechs[0] == '\0')
		add_mechs(set, rest);
}

int smtp_ext_list(struct sv list, unsigned *mask, struct sv *bad)
{
	struct sv word;
	unsigned found = 0;

	while (sv_token(&list, " \t,\r\n", &word)) {
		enum smtp_ext ext;
		if (find(word, &ext) < 0) {
			*bad = word;
			return ERR_NOT_FOUND;
		}
		found |= ext;
	}
	*mask = found;
	return 0;
}

const char *smtp_ext_name(enum smtp_ext ext)
{
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		if (table[i].ext == ext)
			return table[i].name;
	}
	return "";
}

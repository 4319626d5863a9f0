/* mbox_name.c - what a folder's name may be, and where the folder lies. */
#include "store/mbox_list.h"

int mbox_name_check(struct sv name, char out[MBOX_NAME_MAX + 1], struct err *err)
{
	unsigned levels = 1;

	if (!name.n || name.n > MBOX_NAME_MAX)
		return err_set(err, ERR_SYNTAX, "folder names have 1 to %d bytes", MBOX_NAME_MAX);
	for (size_t i = 0; i < name.n; i++) {
		unsigned char c = (unsigned char)name.p[i];

		if (c < ' ' || c >= 127 || c == '/' || c == '*' || c == '%')
			return err_set(err, ERR_SYNTAX, "folder name has a character that is not allowed");
		if (c != MBOX_SEP)
			continue;
		levels++;
		if (i == 0 || i + 1 == name.n || name.p[i - 1] == MBOX_SEP)
			return err_set(err, ERR_SYNTAX, "folder name has an empty level");
	}
	if (levels > MBOX_DEPTH_MAX)
		return err_set(err, ERR_SYNTAX, "folder name has more than %d levels", MBOX_DEPTH_MAX);
	memcpy(out, name.p, name.n);
	out[name.n] = '\0';
	if (sv_ieqs(name, "INBOX") || sv_istarts(name, SV("INBOX.")))
		memcpy(out, "INBOX", 5);
	return 0;
}

void mbox_dir(const char *name, char out[MBOX_NAME_MAX + 2])
{
	if (!strcmp(name, "INBOX"))
		snprintf(out, MBOX_NAME_MAX + 2, ".");
	else
		snprintf(out, MBOX_NAME_MAX + 2, ".%s", name);
}

enum mbox_use mbox_use_of(const char *name)
{
	static const struct {
		const char *name;
		enum mbox_use use;
	} uses[] = {
	    {"Drafts", MBOX_USE_DRAFTS},
	    {"Sent", MBOX_USE_SENT},
	    {"Sent Messages", MBOX_USE_SENT},
	    {"Sent Items", MBOX_USE_SENT},
	    {"Trash", MBOX_USE_TRASH},
	    {"Deleted Messages", MBOX_USE_TRASH},
	    {"Deleted Items", MBOX_USE_TRASH},
	    {"Junk", MBOX_USE_JUNK},
	    {"Spam", MBOX_USE_JUNK},
	    {"Archive", MBOX_USE_ARCHIVE},
	    {"Archives", MBOX_USE_ARCHIVE},
	};
	struct sv sv = sv_str(name);

	if (sv_starts(sv, SV("INBOX.")))
		sv = sv_skip(sv, 6);
	for (size_t i = 0; i < ARRAY_LEN(uses); i++)
		if (sv_ieqs(sv, uses[i].name))
			return uses[i].use;
	return MBOX_USE_NONE;
}

/*
 * mbox_list.h - the folders of an account: names, hierarchy, subscriptions, special use.  Names are as in mailbox.h:
 * modified UTF-7, '.' between levels, INBOX in any case.  What a name may be is decided here, once, so that no name
 * leads out of the account's directory.
 */
#ifndef MERPATI_STORE_MBOX_LIST_H
#define MERPATI_STORE_MBOX_LIST_H

#include "store/mailbox.h"

#define MBOX_SEP '.'
#define MBOX_NAME_MAX 200 /* bytes of a whole name */
#define MBOX_DEPTH_MAX 24 /* levels */
#define MBOX_MAX 20000	  /* folders of one account */
#define MBOX_SUBSCRIBED_MAX 20000

enum {
	MBOX_NOSELECT = 1, /* only a level above others, or only subscribed */
	MBOX_CHILDREN = 2,
	MBOX_SUBSCRIBED = 4,
	MBOX_NONEXISTENT = 8 /* only subscribed; there is no such folder and none below it */
};
enum mbox_use { MBOX_USE_NONE, MBOX_USE_DRAFTS, MBOX_USE_SENT, MBOX_USE_TRASH, MBOX_USE_JUNK, MBOX_USE_ARCHIVE };

struct mbox_entry {
	const char *name;  /* "INBOX", "Work", "Work.2026" */
	unsigned flags;	   /* MBOX_* */
	enum mbox_use use; /* by name: Drafts; Sent, Sent Messages, Sent Items; Trash, Deleted...; Junk, Spam; Archive,
			      Archives */
};
struct mbox_list {
	struct mbox_entry
	    *v; /* sorted by name, INBOX first; levels without a folder of their own are in it (MBOX_NOSELECT) */
	size_t n;
	char *mem; /* private */
};
int mbox_list(struct store *st, struct mbox_list *out, struct err *err);
void mbox_list_free(struct mbox_list *l);

/* 0 and the canonical name (INBOX in capitals) in out, or ERR_SYNTAX: empty level, '/', control or 8-bit bytes, '*' or
 * '%', over a limit. */
int mbox_name_check(struct sv name, char out[MBOX_NAME_MAX + 1], struct err *err);
/* Directory relative to the account: "." for INBOX, ".Work.2026".  name must be canonical. */
void mbox_dir(const char *name, char out[MBOX_NAME_MAX + 2]);
enum mbox_use mbox_use_of(const char *name);

/* ERR_NOT_FOUND, ERR_EXISTS, ERR_SYNTAX, ERR_DENIED (INBOX), ERR_LIMIT, ERR_TEMP (lock). */
int mbox_exists(struct store *st, struct sv name, struct err *err); /* 0 when it is a selectable folder */
int mbox_create(
    struct store *st, struct sv name, struct err *err); /* a trailing '.' is ignored (RFC 3501 section 6.3.3) */
int mbox_delete(struct store *st, struct sv name, struct err *err); /* its children stay; subscription stays */
/* Children are renamed too.  Renaming INBOX moves its messages into a new folder (RFC 3501 section 6.3.5). */
int mbox_rename(struct store *st, struct sv from, struct sv to, struct err *err);
int mbox_subscribe(struct store *st, struct sv name, bool on, struct err *err); /* the folder need not exist */

#endif

/*
 * uidlist.h - the small text files of a folder: our merpati-uid, and dovecot-uidlist, dovecot-keywords and
 * subscriptions, which we take over (the last two we go on writing in the same form, so that Dovecot beside us
 * understands them).  Pure.
 */
#ifndef MERPATI_STORE_UIDLIST_H
#define MERPATI_STORE_UIDLIST_H

#include "base/buf.h"
#include "base/err.h"

/* merpati-uid: "merpati-uid 1 V<uidvalidity> N<next uid>\n". */
struct uid_file {
	uint32_t uidvalidity; /* 1 or more */
	uint32_t next;	      /* 1 or more */
};
int uid_file_parse(struct sv text, struct uid_file *out); /* 0 or ERR_CORRUPT */
int uid_file_format(struct buf *out, const struct uid_file *u);

/*
 * dovecot-uidlist, versions 1 and 3.  uidlist_begin reads the first line; uidlist_next gives one entry after another:
 * 1, 0 at the end.  Lines that are not of the form are skipped (Dovecot does the same after a torn write).
 */
struct uidlist {
	struct sv rest;
	unsigned version;
	struct uid_file head;
};
struct uidlist_entry {
	uint32_t uid;
	struct sv name; /* file name, perhaps with flags behind ':' */
};
int uidlist_begin(struct sv text, struct uidlist *u); /* 0 or ERR_CORRUPT */
int uidlist_next(struct uidlist *u, struct uidlist_entry *e);

/* dovecot-keywords: "<number> <name>" lines.  names[0..25] are views into text or SV_NONE. */
void keywords_parse(struct sv text, struct sv names[26]);
/* True when a keyword has the form of an IMAP atom and no byte that a file of ours cannot hold. */
bool keyword_valid(struct sv name);

/* subscriptions: one name a line; Dovecot's version 2 ("V\t2" first, tabs between levels) is understood too. */
struct sublist {
	struct sv rest;
	bool v2;
};
void sublist_begin(struct sv text, struct sublist *s);
/* 1 and the name with '.' between levels appended to the emptied `name`; 0 at the end. */
int sublist_next(struct sublist *s, struct buf *name);

#endif

/* postmap.h - what the files of postmap and postalias share. */
#ifndef MERPATI_POSTMAP_H
#define MERPATI_POSTMAP_H

#include "base/err.h"
#include "base/sv.h"

enum postmap_mode { PM_BUILD, PM_UPDATE, PM_QUERY, PM_DELETE, PM_LIST };

struct postmap {
	const char *prog;	  /* "postmap" or "postalias" */
	const char *default_type; /* when a name has no "type:" */
	enum postmap_mode mode;
	const char *key; /* of PM_QUERY and PM_DELETE; "-": from standard input */
	bool alias;	 /* the syntax of aliases */
	bool no_fold;	 /* -f: keys as they are */
	bool replace;	 /* -r: an entry that is there is replaced without a word */
	bool quiet;	 /* -w: an entry that is there stays without a word */
	bool keep_root;	 /* -o: do not become the owner of the source file */
	bool own_mode;	 /* -p: do not take over the source file's mode */
};

void postmap_warn(const struct postmap *p, const char *fmt, ...) ATTR_PRINTF(2, 3);

/* Builds, updates or deletes in NAME.lmdb: 0, 1 (no such key), or a negative error that was reported. */
int postmap_write(const struct postmap *p, const char *name);

#endif

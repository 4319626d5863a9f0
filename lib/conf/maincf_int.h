/* maincf_int.h - the inside of struct maincf, shared by the files that implement it. */
#ifndef MERPATI_MAINCF_INT_H
#define MERPATI_MAINCF_INT_H

#include "base/htable.h"
#include "conf/maincf.h"

struct maincf_setting {
	char *name;
	char *raw;
	unsigned line; /* 0: from the command line */
	UT_hash_handle hh;
};

/* A default that the host gave, kept: expansion needs it to stay where it is. */
struct maincf_host_value {
	char *name;
	char *value; /* NULL: the host says nothing */
	UT_hash_handle hh;
};

struct maincf_row {
	const struct conf_param *row;
	UT_hash_handle hh;
};

struct maincf {
	char *file;
	struct maincf_setting *settings;
	struct maincf_row *rows, *index; /* array; hash over it */
	struct maincf_host_value **host; /* behind a pointer: filled by readers of a const maincf */
	maincf_default_fn *host_fn;
	void *host_ctx;
	const struct mastercf *services;
};

/* What expansion looks names up in: the file and the -o options of one service. */
struct maincf_view {
	const struct maincf *mc;
	const struct conf_pair *overrides;
	size_t n;
};

/* Row of the table, forms included, by the index. */
const struct conf_param *maincf_row(const struct maincf *mc, struct sv name);
const struct maincf_setting *maincf_setting(const struct maincf *mc, struct sv name);
/* The unexpanded value that applies; false when there is no such name at all. */
bool maincf_lookup(const struct maincf_view *view, struct sv name, struct sv *value);
/* Expanded and checked; *num may be NULL.  Nothing is appended on failure. */
int maincf_checked(const struct maincf_view *view, const struct conf_param *row, const char *name, struct buf *out,
    int64_t *num, struct err *err);

#endif

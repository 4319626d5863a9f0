/*
 * api_local.h - what the coordinator of `local` asks its children: the processes of the same program that are the user
 * whose mail it is.  Peer class "local_file" (role "file": LC_SAVE, LC_MBOX; copies, parses nothing) and "local_user"
 * (role "user": LC_LIST, LC_COMMAND; reads and runs what the user wrote).  A child closes the descriptor of the message
 * before it answers.  The coordinator believes a child about nothing but its own user's mail.
 */
#ifndef MERPATI_API_LOCAL_H
#define MERPATI_API_LOCAL_H

#include "ipc/api_mail.h"

enum lc_type { LC_SAVE = 0x0501, LC_MBOX, LC_LIST, LC_COMMAND };
#define LC_VERSION 1
#define LC_TARGETS_MAX 100 /* Maildirs of one LC_SAVE */
#define LC_PATH_MAX 1023   /* bytes of a path */
#define LC_NAME_MAX 180	   /* bytes of a file name */
#define LC_HEAD_MAX 16384  /* bytes of the lines put before a message */
#define LC_PATHS_MAX 10	   /* files that one LC_LIST tries */
#define LC_ITEMS_MAX 5000  /* items of one list */
#define LC_TEXT_MAX 8192   /* bytes of an item or a command */
#define LC_KINDS 6	   /* kinds of an item: enum alias_kind of proto/alias_rhs.h */
#define LC_ENV_MAX 40	   /* variables of a command */

/* The outcome for one recipient. */
struct lc_done {
	uint32_t status; /* enum dv_status: sent, deferred or bounced */
	struct sv dsn;	 /* "2.0.0" */
	struct sv text;	 /* for the log and the notice */
};

/*
 * LC_SAVE + read-only descriptor -> LC_SAVE {n x lc_done}: files the message into the first Maildir and links it into
 * the others (or copies it again).
 */
struct lc_target {
	struct sv folder;  /* absolute, ends in '/' */
	uint32_t base_len; /* bytes of folder that must be there already (mdir_save.h) */
	struct sv unique;  /* file name without sizes */
};
struct lc_save {
	struct sv head;	   /* lines put before the message */
	struct sv summary; /* of the file as it will be, or "" */
	struct mail_content content;
	size_t n;
	struct lc_target target[LC_TARGETS_MAX];
	int fd; /* encode: borrowed; decode: the caller's */
};
void lc_save_put(struct msg_out *m, const struct lc_save *s);
bool lc_save_get(struct msg *m, struct lc_save *s);
void lc_dones_put(struct msg_out *m, const struct lc_done *d, size_t n);
bool lc_dones_get(struct msg *m, struct lc_done *d, size_t n); /* exactly n */

/* LC_MBOX + descriptor -> LC_MBOX {lc_done}: appends to a file in mbox form, locked. */
struct lc_mbox {
	struct sv path;
	uint64_t limit; /* bytes that the file may grow to; 0: no limit */
	struct sv from; /* the "From " line, without line end */
	struct sv head;
	struct sv what; /* "mailbox" or "file: /path": the end of "delivered to ..." */
	struct mail_content content;
	int fd;
};
void lc_mbox_put(struct msg_out *m, const struct lc_mbox *s);
bool lc_mbox_get(struct msg *m, struct lc_mbox *s);

/*
 * LC_LIST -> LC_LIST {status i, which u, n x (kind u, text s)}: reads and parses the first of the files that is there.
 * Status 0, ERR_NOT_FOUND (none is there), ERR_TEMP (cannot tell now), ERR_DENIED (a file that must not be believed),
 * ERR_LIMIT.
 */
struct lc_list {
	bool forward; /* .forward files: owner and mode are checked */
	size_t n;
	struct sv path[LC_PATHS_MAX];
};
struct lc_item {
	uint32_t kind; /* enum alias_kind */
	struct sv text;
};
struct lc_items {
	int status;
	uint32_t which; /* index of the path that was read */
	struct sv text; /* reason, for the log */
	size_t n;
	struct lc_item *v;
};
void lc_list_put(struct msg_out *m, const struct lc_list *l);
bool lc_list_get(struct msg *m, struct lc_list *l);
void lc_items_put(struct msg_out *m, const struct lc_items *l);
bool lc_items_get(struct msg *m, struct arena *a, struct lc_items *l);

/* LC_COMMAND + descriptor -> LC_COMMAND {lc_done}: runs a command with the message on its standard input. */
struct lc_command {
	struct sv command;
	struct sv home;	     /* working folder, "" for the root folder */
	uint32_t time_limit; /* seconds */
	struct sv from;	     /* the "From " line, or "" for none */
	struct sv head;
	size_t nenv;
	struct sv env[LC_ENV_MAX]; /* "NAME=value": the whole environment */
	struct mail_content content;
	int fd;
};
void lc_command_put(struct msg_out *m, const struct lc_command *c);
bool lc_command_get(struct msg *m, struct lc_command *c);

#endif

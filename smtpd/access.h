/*
 * access.h - restriction lists (smtpd_client_restrictions ... smtpd_end_of_data_restrictions), Postfix's rules in a
 * const table.  A list is read once at the start; a word that is no rule, or a rule that needs an argument and has
 * none, is an error then, not when the first client comes.
 */
#ifndef MERPATI_SMTPD_ACCESS_H
#define MERPATI_SMTPD_ACCESS_H

#include "smtpd/smtpd.h"

enum verdict {
	VERDICT_DUNNO,	/* the next rule decides */
	VERDICT_PERMIT, /* the rest of this list is not asked */
	VERDICT_REJECT, /* the reply was noted with access_refuse() */
	VERDICT_WAIT	/* an answer is under way: ask again after session_wake */
};

/* What a rule is asked about. */
struct access_ctx {
	struct session *s;
	enum stage stage;
	const char *arg;
	char *reply; /* takes the refusal: "554 5.7.1 <x>: Relay access denied" */
	size_t room;
};

struct rule {
	const char *name;
	enum { ARG_NONE, ARG_TABLE, ARG_DOMAIN, ARG_WARN } arg; /* WARN: the rule after it only warns */
	enum verdict (*ask)(struct access_ctx *c);
};
/* The rule of Postfix's restrictions that do not work here: VERDICT_DUNNO, and a warning at the start. */
enum verdict access_unsupported(struct access_ctx *c);
extern const struct rule access_rules[];
extern const size_t access_nrules;

const struct rule *access_rule(const char *name); /* a rule that is in the table */
bool access_is(const struct rule_use *use, const char *name);
/* Reads a list; the texts of arguments are allocated for the life of the process.  0 or ERR_SYNTAX with the word. */
int access_parse(const char *text, struct rule_list *out, struct err *err);
void access_list_free(struct rule_list *l);

/*
 * Asks the lists from `first` to `last` about the command in hand.  VERDICT_PERMIT (nobody objects), VERDICT_REJECT
 * (the refusal is in `text`, logged by access_log), VERDICT_WAIT (call again with the same stages from resume).
 */
enum verdict access_check(struct session *s, enum stage first, enum stage last, char *text, size_t room);
void access_reset(struct session *s); /* the command is over, whatever came of it */

/* For rules: notes the refusal and answers VERDICT_REJECT. */
enum verdict access_refuse(struct access_ctx *c, int code, const char *dsn, const char *fmt, ...) ATTR_PRINTF(4, 5);
/* The same if nothing later permits or rejects (DEFER_IF_PERMIT): VERDICT_DUNNO. */
enum verdict access_defer_if_permit(struct access_ctx *c, const char *dsn, const char *fmt, ...) ATTR_PRINTF(3, 4);
/* "QUEUEID: reject: RCPT from host[addr]: text; from=<> to=<> proto= helo=<>" */
void access_log(struct session *s, const char *what, const char *where, const char *text);
const char *access_where(const struct session *s); /* "RCPT", "DATA", "END-OF-MESSAGE", "CONNECT" */
/* An action of an access table: "OK", "REJECT text", "550 5.7.1 text", ... */
enum verdict access_action(struct access_ctx *c, struct sv value, const char *kind, struct sv subject);
/* "Client host", "Helo command", "Sender address", "Recipient address" of a stage, and what stands in < > before it. */
const char *access_subject(const struct access_ctx *c, struct sv *subject);

#endif

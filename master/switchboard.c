/* switchboard.c - who may talk to whom; see switchboard.h. */
#include "master/switchboard.h"

#define QUEUE_GROUP "merpati-queue" /* cleanup and qmgr share the queue files; nobody else is in it */

const struct swb_class swb_classes[] = {
    {.name = "smtpd", .binary = "smtpd", .role = "", .user = "merpati-smtpd", .callers = "", .stop_phase = 0},
    {.name = "login", .binary = "login", .role = "", .user = "merpati-login", .callers = "", .stop_phase = 0},
    {.name = "imapd",
	.binary = "imapd",
	.role = "",
	.user = "merpati-imapd",
	.callers = "",
	.implicit = true,
	.zygote = true,
	.stop_phase = 0}, /* with login, which waits for the sessions that it relays */
    {.name = "pop3d",
	.binary = "pop3d",
	.role = "",
	.user = "merpati-pop3d",
	.callers = "",
	.implicit = true,
	.zygote = true,
	.stop_phase = 0}, /* with login, which waits for the sessions that it relays */
    {.name = "qmgr",
	.binary = "qmgr",
	.role = "",
	.user = "merpati-qmgr",
	.group = QUEUE_GROUP,
	.callers = "cleanup",
	.single = true,
	.implicit = true,
	.stop_phase = 1},
    {.name = "smtp",
	.binary = "smtp",
	.role = "",
	.user = "merpati-smtp",
	.callers = "qmgr",
	.target = TARGET_SERVICE,
	.implicit = true,
	.stop_phase = 2},
    {.name = "local",
	.binary = "local",
	.role = "",
	.user = "merpati-local",
	.callers = "qmgr",
	.target = TARGET_SERVICE,
	.implicit = true,
	.stop_phase = 2},
    {.name = "local_file",
	.binary = "local",
	.role = "file",
	.callers = "local",
	.target = TARGET_IDENTITY,
	.implicit = true,
	.stop_phase = 2},
    {.name = "local_user",
	.binary = "local",
	.role = "user",
	.callers = "local",
	.target = TARGET_IDENTITY,
	.implicit = true,
	.stop_phase = 2},
    {.name = "cleanup",
	.binary = "cleanup",
	.role = "",
	.user = "merpati-cleanup",
	.group = QUEUE_GROUP,
	.callers = "smtpd qmgr local",
	.implicit = true,
	.stop_phase = 3},
    {.name = "rewrite",
	.binary = "rewrite",
	.role = "",
	.user = "merpati-rewrite",
	.callers = "smtpd cleanup qmgr local smtp",
	.implicit = true,
	.stop_phase = 3},
    {.name = "resolver",
	.binary = "resolver",
	.role = "",
	.user = "merpati-resolver",
	.callers = "smtpd smtp",
	.implicit = true,
	.stop_phase = 3},
    {.name = "auth",
	.binary = "auth",
	.role = "",
	.user = "merpati-auth",
	.extra = "shadow", /* pam_unix(8), when auth_sources names pam */
	.callers = "smtpd login smtp",
	.single = true,
	.implicit = true,
	.stop_phase = 3},
    {.name = "keyd",
	.binary = "keyd",
	.role = "",
	.user = "merpati-keyd",
	.callers = "smtpd login smtp",
	.implicit = true,
	.stop_phase = 3},
    {.name = "anvil",
	.binary = "anvil",
	.role = "",
	.user = "merpati-anvil",
	.callers = "smtpd login auth qmgr local local_file smtp cleanup imapd pop3d",
	.single = true,
	.implicit = true,
	.stop_phase = 3},
    {.name = "logd",
	.binary = "logd",
	.role = "",
	.user = "merpati-logd",
	.callers = "",
	.single = true,
	.stop_phase = 4},
};
const size_t swb_nclasses = ARRAY_LEN(swb_classes);

/* Names of a stock or usual Postfix master.cf (column "command") and what answers for them here; NULL: without effect.
 */
static const struct {
	const char *command, *class;
} commands[] = {{"smtpd", "smtpd"}, {"postscreen", "smtpd"}, {"pickup", "smtpd"}, {"cleanup", "cleanup"},
    {"qmgr", "qmgr"}, {"oqmgr", "qmgr"}, {"trivial-rewrite", "rewrite"}, {"rewrite", "rewrite"}, {"smtp", "smtp"},
    {"lmtp", "smtp"}, {"relay", "smtp"}, {"local", "local"}, {"virtual", "local"}, {"anvil", "anvil"},
    {"login", "login"}, {"imapd", "imapd"}, {"pop3d", "pop3d"}, {"auth", "auth"}, {"keyd", "keyd"},
    {"resolver", "resolver"}, {"logd", "logd"}, {"postlogd", "logd"}, {"bounce", NULL}, {"error", NULL},
    {"discard", NULL}, {"retry", NULL}, {"showq", NULL}, {"flush", NULL}, {"tlsmgr", NULL}, {"verify", NULL},
    {"proxymap", NULL}, {"scache", NULL}, {"tlsproxy", NULL}, {"dnsblog", NULL}};

const struct swb_class *swb_find(struct sv name)
{
	for (size_t i = 0; i < swb_nclasses; i++) {
		if (sv_eqs(name, swb_classes[i].name))
			return &swb_classes[i];
	}
	return NULL;
}

bool swb_allowed(const struct swb_class *callee, const char *caller)
{
	struct sv rest = sv_str(callee->callers), word;
	while (sv_token(&rest, " ", &word)) {
		if (sv_eqs(word, caller))
			return true;
	}
	return false;
}

const struct swb_class *swb_of_command(const char *command, bool *known)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		if (strcmp(command, commands[i].command) != 0)
			continue;
		*known = true;
		return commands[i].class != NULL ? swb_find(sv_str(commands[i].class)) : NULL;
	}
	*known = false;
	return NULL;
}

void swb_print(FILE *out)
{
	fprintf(out, "%-11s %-17s %-10s %s\n", "class", "user", "target", "may be connected to by");
	for (size_t i = 0; i < swb_nclasses; i++) {
		const struct swb_class *c = &swb_classes[i];
		static const char *const targets[] = {"-", "service", "uid:gid"};
		fprintf(out, "%-11s %-17s %-10s %s\n", c->name, c->user ? c->user : "(of the target)",
		    targets[c->target], c->callers[0] ? c->callers : "-");
	}
	fprintf(out, "%-11s %-17s %-10s %s\n", "session", "(of the account)", "grant",
	    "login, with a grant of auth: a fork of imapd or pop3d");
}

/*
 * sendmail.c - the command that programs send mail with, in the form that Sendmail gave it and Postfix kept; mailq and
 * newaliases by that name.  It runs as its caller, reads the message, and speaks SMTP to the local submission socket,
 * whose other end knows the caller's user id.
 */
#include "tools/sendmail.h"

#include <getopt.h>
#include <sysexits.h>

#include "conf/maincf_host.h"

enum mode {
	MODE_SEND,
	MODE_QUEUE,
	MODE_ALIASES,
	MODE_DIALOGUE,
	MODE_VERIFY,
	MODE_FLUSH,
	MODE_FLUSH_ID,
	MODE_FLUSH_SITE,
	MODE_DAEMON
};

int sendmail_fatal(int code, const char *fmt, ...)
{
	va_list ap;

	fputs("sendmail: fatal: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return code;
}

static char *value(const struct maincf *mc, const char *name)
{
	struct buf b = BUF_INIT(CONF_VALUE_MAX);

	maincf_value(mc, name, NULL, 0, &b, NULL);
	return buf_steal(&b);
}

static int load(struct sendmail *m)
{
	const char *dir = m->config_directory != NULL ? m->config_directory : getenv("MAIL_CONFIG");
	struct conf_problems problems = CONF_PROBLEMS_INIT;
	struct maincf *mc = NULL;
	struct err err;

	if (dir == NULL)
		dir = "/etc/merpati";
	CLEANUP(freep) char *path = xasprintf("%s/main.cf", dir);
	struct maincf_args args = {.path = path, .config_directory = dir, .host = maincf_host_default};
	if (maincf_load(&args, &mc, &problems, &err) < 0)
		return sendmail_fatal(EX_CONFIG, "%s", err.text);
	m->queue_directory = value(mc, "queue_directory");
	m->command_directory = value(mc, "command_directory");
	m->alias_database = value(mc, "alias_database");
	m->myorigin = value(mc, "myorigin");
	m->size_limit = (uint64_t)maincf_num(mc, "message_size_limit");
	if (m->config_directory == NULL)
		m->config_directory = xstrdup(dir);
	conf_problems_clear(&problems);
	maincf_free(&mc);
	return 0;
}

static int run(const struct sendmail *m, const char *tool, char *const *argv)
{
	CLEANUP(freep) char *path = xasprintf("%s/%s", m->command_directory, tool);

	setenv("MAIL_CONFIG", m->config_directory, 1);
	execv(path, argv);
	return sendmail_fatal(EX_OSERR, "cannot run %s: %s", path, strerror(errno));
}

static int run_words(const struct sendmail *m, const char *tool, const char *a, const char *b)
{
	char *argv[4] = {xstrdup(tool), a ? xstrdup(a) : NULL, b ? xstrdup(b) : NULL, NULL};
	return run(m, tool, argv);
}

/* newaliases: every table of alias_database. */
static int rebuild(struct sendmail *m, const char *table)
{
	struct sv rest = sv_str(table != NULL ? table : m->alias_database), word;
	char *argv[64] = {xstrdup("postalias")};
	size_t n = 1;

	while (n < ARRAY_LEN(argv) - 1 && sv_token(&rest, " \t\r\n,", &word))
		argv[n++] = sv_dup(word);
	return n > 1 ? run(m, "postalias", argv) : 0;
}

struct options {
	enum mode mode;
	const char *arg; /* of the mode */
	const char *alias_table;
};

static int mode_option(struct options *o, char c)
{
	static const struct {
		char letter;
		enum mode mode;
	} all[] = {{'m', MODE_SEND}, {'a', MODE_SEND}, {'p', MODE_QUEUE}, {'i', MODE_ALIASES}, {'s', MODE_DIALOGUE},
	    {'v', MODE_VERIFY}, {'d', MODE_DAEMON}, {'D', MODE_DAEMON}, {'l', MODE_DAEMON}, {'h', MODE_SEND},
	    {'H', MODE_SEND}};

	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		if (all[i].letter == c) {
			o->mode = all[i].mode;
			return 0;
		}
	}
	return sendmail_fatal(EX_USAGE, "unsupported: -b%c", c);
}

/* -o: the old way to set options; most have no meaning any more. */
static void old_option(struct sendmail *m, struct options *o, const char *arg)
{
	if (arg[0] == 'i')
		m->dots = true;
	else if (arg[0] == '7')
		m->body = "7BIT";
	else if (arg[0] == '8')
		m->body = "8BITMIME";
	else if (arg[0] == 'A' && arg[1] != '\0')
		o->alias_table = arg + 1;
}

static void flush_option(struct options *o, const char *arg)
{
	o->mode = MODE_FLUSH;
	if (arg == NULL || ascii_isdigit((unsigned char)arg[0]))
		return; /* -q, -q15m: the queue runs by itself */
	o->arg = arg + 1;
	if (arg[0] == 'I')
		o->mode = MODE_FLUSH_ID;
	else if (arg[0] == 'R' || arg[0] == 'S')
		o->mode = MODE_FLUSH_SITE;
}

static int options(struct sendmail *m, struct options *o, int argc, char **argv)
{
	int c, rc = 0;

	while (rc == 0 && (c = getopt(argc, argv, "+A:B:C:F:GIL:N:O:R:UV:X:b:cd::e:f:h:imno:p:q::r:stvxQ")) != -1) {
		switch (c) {
		case 'B': m->body = optarg; break;
		case 'C':
			free(m->config_directory);
			m->config_directory = xstrdup(optarg);
			break;
		case 'F': m->full_name = optarg; break;
		case 'I': o->mode = MODE_ALIASES; break;
		case 'N': m->notify = optarg; break;
		case 'R': m->ret = optarg; break;
		case 'V': m->envid = optarg; break;
		case 'b': rc = mode_option(o, optarg[0]); break;
		case 'f':
		case 'r': m->sender = optarg; break;
		case 'i': m->dots = true; break;
		case 'o': old_option(m, o, optarg); break;
		case 'q': flush_option(o, optarg); break;
		case 't': m->from_header = true; break;
		case 's': break;
		case 'v': m->verbose = true; break;
		case '?': rc = EX_USAGE; break;
		default: break; /* options of Sendmail without meaning here */
		}
	}
	return rc;
}

static bool choice(const char *v, const char *list)
{
	struct sv rest = sv_str(list), word;

	while (v != NULL && sv_token(&rest, " ", &word)) {
		if (sv_ieqs(word, v))
			return true;
	}
	return v == NULL;
}

static int checked(const struct sendmail *m)
{
	if (!choice(m->body, "7BIT 8BITMIME"))
		return sendmail_fatal(EX_USAGE, "bad -B option value: %s", m->body);
	if (!choice(m->ret, "FULL HDRS"))
		return sendmail_fatal(EX_USAGE, "bad -R option value: %s", m->ret);
	return 0;
}

static int send_message(struct sendmail *m, int argc, char **argv)
{
	int rc = sendmail_sender(m);

	for (int i = 0; rc == 0 && i < argc; i++)
		rc = sendmail_add(m, sv_str(argv[i]));
	if (rc == 0 && !m->from_header && m->nrcpt == 0)
		return sendmail_fatal(
		    EX_USAGE, "Recipient addresses must be specified on the command line or via the -t option");
	if (rc == 0)
		rc = sendmail_read(m, stdin);
	if (rc == 0)
		rc = sendmail_header(m);
	if (rc == 0 && m->nrcpt == 0)
		return sendmail_fatal(EX_USAGE, "No recipient addresses found in message header");
	return rc == 0 ? sendmail_submit(m) : rc;
}

static int perform(struct sendmail *m, const struct options *o, int argc, char **argv)
{
	int rc = 0;

	switch (o->mode) {
	case MODE_QUEUE: return run_words(m, "postqueue", "-p", NULL);
	case MODE_FLUSH: return run_words(m, "postqueue", "-f", NULL);
	case MODE_FLUSH_ID: return run_words(m, "postqueue", "-i", o->arg);
	case MODE_FLUSH_SITE: return run_words(m, "postqueue", "-s", o->arg);
	case MODE_ALIASES: return rebuild(m, o->alias_table);
	case MODE_DAEMON: return run_words(m, "merpati", "start", NULL);
	case MODE_DIALOGUE: return sendmail_dialogue(m);
	case MODE_VERIFY:
		for (int i = 0; rc == 0 && i < argc; i++)
			rc = sendmail_add(m, sv_str(argv[i]));
		return rc == 0 ? sendmail_verify(m) : rc;
	case MODE_SEND: break;
	}
	return send_message(m, argc, argv);
}

int main(int argc, char **argv)
{
	struct sendmail m = {.text = BUF_INIT(0)};
	struct options o = {.mode = MODE_SEND};
	const char *name = strrchr(argv[0], '/');
	int rc;

	name = name != NULL ? name + 1 : argv[0];
	if (strcmp(name, "mailq") == 0)
		o.mode = MODE_QUEUE;
	else if (strcmp(name, "newaliases") == 0)
		o.mode = MODE_ALIASES;
	arena_init(&m.arena, SENDMAIL_ARENA);
	rc = options(&m, &o, argc, argv);
	if (rc == 0)
		rc = checked(&m);
	if (rc == 0)
		rc = load(&m);
	if (rc == 0)
		rc = perform(&m, &o, argc - optind, argv + optind);
	arena_clear(&m.arena);
	buf_free(&m.text);
	free(m.rcpt);
	free(m.config_directory);
	free(m.queue_directory);
	free(m.command_directory);
	free(m.alias_database);
	free(m.myorigin);
	return rc;
}

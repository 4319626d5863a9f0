/* postcat.c - postcat(1): shows a queue file. */
#include <fcntl.h>
#include <getopt.h>
#include <sysexits.h>
#include <time.h>

#include "spool/qfile.h"
#include "spool/spool.h"
#include "tools/queue_client.h"

struct show {
	bool envelope, header, body, all;
};

static void put_text(const char *label, struct sv s)
{
	printf("%s: ", label);
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		putchar(c < ' ' || c == 127 ? '?' : c);
	}
	putchar('\n');
}

static void put_time(const char *label, int64_t us)
{
	char date[64];
	time_t at = (time_t)(us / 1000000);
	struct tm tm;
	localtime_r(&at, &tm);
	(void)strftime(date, sizeof(date), "%a %b %e %H:%M:%S %Y", &tm);
	printf("%s: %s\n", label, date);
}

static void attribute(const char *key, struct sv value)
{
	if (value.n == 0)
		return;
	printf("named_attribute: %s=", key);
	fwrite(value.p, 1, value.n, stdout);
	putchar('\n');
}

static void put_envelope(const struct qfile *q)
{
	const struct mail_envelope *e = &q->env;
	size_t left = 0;
	for (size_t i = 0; i < q->n; i++)
		left += q->rcpt[i].status == QS_WAITING;
	printf("message_size: %15ju %15ju %15zu %15zu %15ju\n", (uintmax_t)e->size,
	    (uintmax_t)(e->content.nheader ? e->content.header[0].at : e->content.body.at), q->n, left,
	    (uintmax_t)e->size);
	put_time("message_arrival_time", e->arrival);
	attribute("log_message_origin", e->client_name);
	attribute("client_name", e->client_name);
	attribute("client_address", e->client_addr);
	attribute("helo_name", e->helo);
	attribute("protocol_name", e->protocol);
	attribute("sasl_method", e->sasl_method);
	attribute("sasl_username", e->sasl_user);
	attribute("message_id", e->message_id);
	attribute("envelope_id", e->envid);
	put_text("sender", e->sender);
	for (size_t i = 0; i < q->n; i++) {
		const struct qfile_rcpt *r = &q->rcpt[i];
		if (r->rcpt.orcpt.n)
			attribute("dsn_orig_rcpt", r->rcpt.orcpt);
		if (r->rcpt.notify)
			printf("named_attribute: notify_flags=%u\n", r->rcpt.notify);
		if (r->rcpt.orig.n)
			put_text("original_recipient", r->rcpt.orig);
		put_text(r->status == QS_WAITING ? "recipient" : "done_recipient", r->rcpt.addr);
		if (r->status == QS_WAITING && r->text.n)
			put_text("  reason", r->text);
	}
	if (q->attempts)
		printf("attempts: %u\n", q->attempts);
	if (q->next)
		put_time("next_attempt", q->next * 1000000);
	if (q->hold)
		puts("on hold");
}

static int put_piece(int fd, const struct mail_extent *e)
{
	char part[65536];
	for (uint64_t at = 0; at < e->len;) {
		size_t want = e->len - at < sizeof(part) ? (size_t)(e->len - at) : sizeof(part);
		ssize_t n = pread(fd, part, want, (off_t)(e->at + at));
		if (n <= 0)
			return EX_IOERR;
		fwrite(part, 1, (size_t)n, stdout);
		at += (uint64_t)n;
	}
	return 0;
}

static int show_file(int fd, const char *label, const struct show *s)
{
	struct qfile q;
	struct err err;
	int r = 0;
	if (qfile_load(&q, fd, QFILE_VERIFY, &err) < 0) {
		fprintf(stderr, "postcat: fatal: %s: %s\n", label, err.text);
		return EX_DATAERR;
	}
	if (s->envelope) {
		printf("*** ENVELOPE RECORDS %s ***\n", label);
		put_envelope(&q);
	}
	if (s->all)
		printf("*** MESSAGE CONTENTS %s ***\n", label);
	for (size_t i = 0; s->header && r == 0 && i < q.env.content.nheader; i++)
		r = put_piece(fd, &q.env.content.header[i]);
	if (s->body && r == 0)
		r = put_piece(fd, &q.env.content.body);
	if (s->all)
		printf("*** MESSAGE FILE END %s ***\n", label);
	qfile_clear(&q);
	return r;
}

static int show_id(const struct queue_client *c, const char *qid, const struct show *s)
{
	static const char *const folders[] = {SPOOL_QUEUE, SPOOL_CORRUPT};
	if (!mail_qid_valid(sv_str(qid))) {
		fprintf(stderr, "postcat: fatal: bad mail queue id: %s\n", qid);
		return EX_USAGE;
	}
	for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
		CLEANUP(freep) char *path = xasprintf("%s/%s/%s", c->queue_directory, folders[i], qid);
		CLEANUP(freep) char *label = xasprintf("%s/%s", folders[i], qid);
		CLEANUP(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		if (fd >= 0)
			return show_file(fd, label, s);
		if (errno != ENOENT) {
			fprintf(stderr, "postcat: fatal: %s: %s\n", label, strerror(errno));
			return EX_NOPERM;
		}
	}
	fprintf(stderr, "postcat: fatal: open queue file %s: No such file or directory\n", qid);
	return EX_NOINPUT;
}

static int usage(void)
{
	fputs("usage: postcat [-behq] [-c config_dir] [file|queue_id ...]\n", stderr);
	return EX_USAGE;
}

int main(int argc, char **argv)
{
	const char *config = NULL;
	struct show s = {0};
	struct queue_client q;
	bool by_id = false;
	int c, r;
	while ((c = getopt(argc, argv, "bc:dehoqrsv")) != -1) {
		switch (c) {
		case 'b': s.body = true; break;
		case 'e': s.envelope = true; break;
		case 'h': s.header = true; break;
		case 'q': by_id = true; break;
		case 'c': config = optarg; break;
		case 'd':
		case 'o':
		case 'r':
		case 's':
		case 'v': break; /* record numbers and offsets are Postfix's own */
		default: return usage();
		}
	}
	if (!s.body && !s.envelope && !s.header)
		s.body = s.envelope = s.header = s.all = true;
	if (optind == argc)
		return by_id ? usage() : show_file(STDIN_FILENO, "stdin", &s);
	r = queue_client_init(&q, config);
	for (int i = optind; r == 0 && i < argc; i++) {
		if (by_id) {
			r = show_id(&q, argv[i], &s);
			continue;
		}
		CLEANUP(fd_closep) int fd = open(argv[i], O_RDONLY | O_CLOEXEC);
		if (fd < 0) {
			fprintf(stderr, "postcat: fatal: open %s: %s\n", argv[i], strerror(errno));
			r = EX_NOINPUT;
		} else {
			r = show_file(fd, argv[i], &s);
		}
	}
	queue_client_close(&q);
	return r;
}

/*
 * smtp_load.c - sends messages by SMTP and counts: smtp_load PORT SESSIONS MESSAGES SIZE RECIPIENTS KEEP TO_FORMAT
 * KEEP 1: one connection a session; 0: one a message.  TO_FORMAT holds one %lu, the number of the recipient.
 * With MESSAGES 0 the sessions say EHLO and then hold their connections until standard input ends.
 */
#include <pthread.h>

#include "bench/load.h"

static struct {
	unsigned port;
	unsigned long sessions, messages, size, recipients;
	bool keep;
	const char *before, *after; /* of the number in the address */
	char *body;
	unsigned long next;
} load;

static void expect(struct line_client *c, const char *code)
{
	char line[1024];
	do
		client_line(c, line, sizeof(line));
	while (line[0] != '\0' && line[3] == '-');
	if (strncmp(line, code, strlen(code)) != 0) {
		fprintf(stderr, "smtp_load: expected %s, got: %s\n", code, line);
		exit(1);
	}
}

static void greet(struct line_client *c)
{
	client_open(c, load.port, NULL);
	expect(c, "220");
	client_sends(c, "EHLO load.test\r\n");
	expect(c, "250");
}

static void send_one(struct line_client *c, unsigned long i)
{
	char text[300];
	client_sends(c, "MAIL FROM:<sender@load.test>\r\n");
	expect(c, "250");
	snprintf(text, sizeof(text), "RCPT TO:<%s%lu%s>\r\n", load.before, i % load.recipients, load.after);
	client_sends(c, text);
	expect(c, "250");
	client_sends(c, "DATA\r\n");
	expect(c, "354");
	client_send(c, load.body, strlen(load.body));
	expect(c, "250");
}

static void *session(void *arg)
{
	struct line_client *c = xmalloc(sizeof(*c));
	bool open = false;
	unsigned long i;

	while ((i = __atomic_fetch_add(&load.next, 1, __ATOMIC_RELAXED)) < load.messages) {
		if (!open)
			greet(c);
		send_one(c, i);
		open = load.keep;
		if (open)
			continue;
		client_sends(c, "QUIT\r\n");
		expect(c, "221");
		client_close(c);
	}
	if (open)
		client_close(c);
	free(c);
	return arg;
}

static void hold(void)
{
	int *fds = xcalloc(load.sessions, sizeof(int));
	struct line_client *c = xmalloc(sizeof(*c));
	for (unsigned long i = 0; i < load.sessions; i++) {
		greet(c);
		fds[i] = c->fd;
	}
	puts("holding");
	fflush(stdout);
	while (getchar() != EOF)
		;
	for (unsigned long i = 0; i < load.sessions; i++)
		close(fds[i]);
	free(fds);
	free(c);
}

static char *make_body(unsigned long size)
{
	static const char head[] =
	    "From: <sender@load.test>\r\nTo: <rcpt@load.test>\r\nSubject: load\r\nMessage-ID: <x@load.test>\r\n\r\n";
	static const char line[] = "XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX\r\n";
	char *b = xcalloc(1, size + sizeof(head) + sizeof(line) + 8), *at = b;
	memcpy(at, head, sizeof(head) - 1);
	at += sizeof(head) - 1;
	while ((size_t)(at - b) < size) {
		memcpy(at, line, sizeof(line) - 1);
		at += sizeof(line) - 1;
	}
	memcpy(at, ".\r\n", 4);
	return b;
}

int main(int argc, char **argv)
{
	if (argc != 8 || strstr(argv[7], "%lu") == NULL) {
		fprintf(stderr, "usage: smtp_load PORT SESSIONS MESSAGES SIZE RECIPIENTS KEEP TO_FORMAT\n");
		return 64;
	}
	load.port = (unsigned)load_number(argv[1]);
	load.sessions = load_number(argv[2]);
	load.messages = load_number(argv[3]);
	load.body = make_body(load_number(argv[4]));
	load.recipients = load_number(argv[5]);
	load.keep = load_number(argv[6]) != 0;
	char *mark = strstr(argv[7], "%lu");
	*mark = '\0';
	load.before = argv[7];
	load.after = mark + 3;
	if (load.messages == 0) {
		hold();
		return 0;
	}
	pthread_t *threads = xcalloc(load.sessions, sizeof(*threads));
	double start = load_seconds();
	for (unsigned long i = 0; i < load.sessions; i++)
		pthread_create(&threads[i], NULL, session, NULL);
	for (unsigned long i = 0; i < load.sessions; i++)
		pthread_join(threads[i], NULL);
	printf("%.3f\n", load_seconds() - start);
	free(threads);
	free(load.body);
	return 0;
}

/*
 * imap_load.c - IMAP logins and idle connections: imap_load PORT TLS SESSIONS LOGINS USERS USER_FORMAT PASSWORD
 * Each login: connect, LOGIN, SELECT INBOX, LOGOUT.  With LOGINS 0: SESSIONS connections are put into IDLE and held
 * until standard input ends.  USER_FORMAT holds one %lu.
 */
#include <pthread.h>

#include "bench/load.h"

static struct {
	unsigned port;
	SSL_CTX *ctx;
	unsigned long sessions, logins, users;
	const char *before, *after, *password;
	unsigned long next;
} load;

static void expect(struct line_client *c, const char *prefix, const char *ok)
{
	char line[4096];
	do
		client_line(c, line, sizeof(line));
	while (strncmp(line, prefix, strlen(prefix)) != 0);
	if (strncmp(line + strlen(prefix), ok, strlen(ok)) != 0) {
		fprintf(stderr, "imap_load: %s\n", line);
		exit(1);
	}
}

static void log_in(struct line_client *c, unsigned long i)
{
	char text[400];
	client_open(c, load.port, load.ctx);
	expect(c, "* ", "OK");
	snprintf(text, sizeof(text), "a LOGIN %s%lu%s %s\r\n", load.before, i % load.users, load.after, load.password);
	client_sends(c, text);
	expect(c, "a ", "OK");
	client_sends(c, "b SELECT INBOX\r\n");
	expect(c, "b ", "OK");
}

static void *session(void *arg)
{
	struct line_client *c = xmalloc(sizeof(*c));
	unsigned long i;
	while ((i = __atomic_fetch_add(&load.next, 1, __ATOMIC_RELAXED)) < load.logins) {
		log_in(c, i);
		client_sends(c, "c LOGOUT\r\n");
		expect(c, "c ", "OK");
		client_close(c);
	}
	free(c);
	return arg;
}

static void hold(void)
{
	struct line_client *all = xcalloc(load.sessions, sizeof(*all));
	for (unsigned long i = 0; i < load.sessions; i++) {
		log_in(&all[i], i);
		client_sends(&all[i], "d IDLE\r\n");
		expect(&all[i], "+ ", "");
	}
	puts("holding");
	fflush(stdout);
	while (getchar() != EOF)
		;
	for (unsigned long i = 0; i < load.sessions; i++)
		client_close(&all[i]);
	free(all);
}

int main(int argc, char **argv)
{
	if (argc != 8 || strstr(argv[6], "%lu") == NULL) {
		fprintf(stderr, "usage: imap_load PORT TLS SESSIONS LOGINS USERS USER_FORMAT PASSWORD\n");
		return 64;
	}
	load.port = (unsigned)load_number(argv[1]);
	if (load_number(argv[2]) != 0) {
		load.ctx = SSL_CTX_new(TLS_client_method());
		SSL_CTX_set_verify(load.ctx, SSL_VERIFY_NONE, NULL);
		SSL_CTX_set_session_cache_mode(load.ctx, SSL_SESS_CACHE_OFF); /* full handshakes */
	}
	load.sessions = load_number(argv[3]);
	load.logins = load_number(argv[4]);
	load.users = load_number(argv[5]);
	char *mark = strstr(argv[6], "%lu");
	*mark = '\0';
	load.before = argv[6];
	load.after = mark + 3;
	load.password = argv[7];
	if (load.logins == 0) {
		hold();
	} else {
		pthread_t *threads = xcalloc(load.sessions, sizeof(*threads));
		double start = load_seconds();
		for (unsigned long i = 0; i < load.sessions; i++)
			pthread_create(&threads[i], NULL, session, NULL);
		for (unsigned long i = 0; i < load.sessions; i++)
			pthread_join(threads[i], NULL);
		printf("%.3f\n", load_seconds() - start);
		free(threads);
	}
	SSL_CTX_free(load.ctx);
	return 0;
}

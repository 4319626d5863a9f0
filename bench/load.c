/* load.c - blocking line clients for the load generators; see load.h. */
#include "bench/load.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <time.h>

static ATTR_NORETURN void fail(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	exit(1);
}

void client_open(struct line_client *c, unsigned port, SSL_CTX *ctx)
{
	struct sockaddr_in a = {
	    .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int on = 1;

	c->at = c->n = 0;
	c->tls = NULL;
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		fail("connect");
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (ctx == NULL)
		return;
	c->tls = SSL_new(ctx);
	SSL_set_fd(c->tls, c->fd);
	if (SSL_connect(c->tls) != 1)
		fail("TLS handshake");
}

void client_close(struct line_client *c)
{
	if (c->tls != NULL)
		SSL_free(c->tls);
	close(c->fd);
}

void client_send(struct line_client *c, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t w = c->tls != NULL ? SSL_write(c->tls, p, (int)n) : send(c->fd, p, n, MSG_NOSIGNAL);
		if (w <= 0)
			fail("send");
		p += w;
		n -= (size_t)w;
	}
}

void client_sends(struct line_client *c, const char *s)
{
	client_send(c, s, strlen(s));
}

void client_line(struct line_client *c, char *buf, size_t size)
{
	for (;;) {
		char *lf = memchr(c->in + c->at, '\n', c->n - c->at);
		if (lf != NULL) {
			size_t len = (size_t)(lf - (c->in + c->at));
			size_t keep = len < size - 1 ? len : size - 1;
			memcpy(buf, c->in + c->at, keep);
			buf[keep] = '\0';
			c->at += len + 1;
			return;
		}
		if (c->at > 0) {
			memmove(c->in, c->in + c->at, c->n - c->at);
			c->n -= c->at;
			c->at = 0;
		}
		size_t room = sizeof(c->in) - c->n;
		ssize_t r =
		    c->tls != NULL ? SSL_read(c->tls, c->in + c->n, (int)room) : recv(c->fd, c->in + c->n, room, 0);
		if (r <= 0)
			fail("the server hung up");
		c->n += (size_t)r;
	}
}

double load_seconds(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

unsigned long load_number(const char *text)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);
	if (*text == '\0' || *end != '\0') {
		fprintf(stderr, "load: not a number: %s\n", text);
		exit(64);
	}
	return v;
}

/* load.h - what the load generators share: blocking clients in threads, one socket each, lines in and out. */
#ifndef MERPATI_LOAD_H
#define MERPATI_LOAD_H

#include <openssl/ssl.h>

#include "base/base.h"

struct line_client {
	int fd;
	SSL *tls;	/* NULL: plain */
	char in[65536]; /* received, not yet handed out */
	size_t at, n;
};

/* Connects to 127.0.0.1:port; with ctx the TLS handshake is done at once.  Ends the program when it cannot. */
void client_open(struct line_client *c, unsigned port, SSL_CTX *ctx);
void client_close(struct line_client *c);
void client_send(struct line_client *c, const char *p, size_t n);
void client_sends(struct line_client *c, const char *s);
/* One line without CRLF into buf; ends the program when the server hangs up. */
void client_line(struct line_client *c, char *buf, size_t size);
double load_seconds(void); /* monotonic */
unsigned long load_number(const char *text);

#endif

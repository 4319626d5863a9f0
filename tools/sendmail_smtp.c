/* sendmail_smtp.c - sendmail as a client of the local submission socket. */
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sysexits.h>

#include "base/codec.h"
#include "base/utf8.h"
#include "message/dot.h"
#include "proto/smtp_path.h"
#include "proto/smtp_reply.h"
#include "tools/sendmail.h"

#define WAIT_S 330     /* seconds without a reply: longer than smtpd waits for anybody */
#define RCPT_BATCH 100 /* commands that are sent before their replies are read */

struct link {
	int fd;
	struct buf in, out;
	size_t at;
	struct smtp_reply reply;
};

static int down(const char *why)
{
	return sendmail_fatal(EX_TEMPFAIL, "the mail system does not answer: %s", why);
}

static int link_open(const struct sendmail *m, struct link *l)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	struct timeval limit = {.tv_sec = WAIT_S};

	*l = (struct link){.fd = -1, .in = BUF_INIT(1 << 20), .out = BUF_INIT(1 << 20)};
	smtp_reply_init(&l->reply);
	int n = snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/public/pickup", m->queue_directory);
	if (n < 0 || (size_t)n >= sizeof(sun.sun_path))
		return sendmail_fatal(EX_CONFIG, "the name of queue_directory is too long");
	l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (l->fd < 0 || connect(l->fd, (struct sockaddr *)&sun, sizeof(sun)) < 0)
		return down(strerror(errno));
	setsockopt(l->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(l->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	return 0;
}

static void link_close(struct link *l)
{
	fd_close(&l->fd);
	buf_free(&l->in);
	buf_free(&l->out);
	smtp_reply_free(&l->reply);
}

static int send_all(struct link *l)
{
	size_t done = 0;

	while (done < l->out.n) {
		ssize_t w = send(l->fd, l->out.p + done, l->out.n - done, MSG_NOSIGNAL);
		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0)
			return down(w < 0 ? strerror(errno) : "connection closed");
		done += (size_t)w;
	}
	buf_reset(&l->out);
	return 0;
}

static int more_input(struct link *l)
{
	char *to;
	ssize_t r;

	if (l->at > 0) {
		buf_consume(&l->in, l->at);
		l->at = 0;
	}
	to = buf_reserve(&l->in, 4096);
	if (to == NULL)
		return down("endless reply");
	do {
		r = recv(l->fd, to, 4096, 0);
	} while (r < 0 && errno == EINTR);
	if (r <= 0)
		return down(r < 0 ? strerror(errno) : "connection closed");
	l->in.n += (size_t)r;
	return 0;
}

/* Reads one reply into l->reply. */
static int next_reply(struct link *l)
{
	smtp_reply_reset(&l->reply);
	for (;;) {
		struct sv rest = sv_of(l->in.p + l->at, l->in.n - l->at);
		ssize_t lf = sv_chr(rest, '\n');
		if (lf < 0) {
			int rc = more_input(l);
			if (rc != 0)
				return rc;
			continue;
		}
		l->at += (size_t)lf + 1;
		int done = smtp_reply_line(&l->reply, sv_head(rest, (size_t)lf));
		if (done < 0)
			return down("bad reply");
		if (done == 1)
			return 0;
	}
}

/* A refusal, in the words of the server. */
static int refused(struct link *l, const char *what)
{
	int code = l->reply.code >= 500 ? EX_UNAVAILABLE : EX_TEMPFAIL;

	return sendmail_fatal(code, "%s: %d %s", what, l->reply.code, buf_cstr(&l->reply.text));
}

static int expect(struct link *l, int want, const char *what)
{
	int rc = send_all(l);

	if (rc == 0)
		rc = next_reply(l);
	if (rc == 0 && l->reply.code != want)
		rc = refused(l, what);
	return rc;
}

static bool needs_utf8(const struct sendmail *m)
{
	if (!ascii_only(m->from))
		return true;
	for (size_t i = 0; i < m->nrcpt; i++) {
		if (!ascii_only(m->rcpt[i]))
			return true;
	}
	return false;
}

static void put_mail(struct sendmail *m, struct buf *out)
{
	buf_adds(out, "MAIL FROM:<");
	smtp_path_quote(out, m->from);
	buf_adds(out, ">");
	if (m->body != NULL || m->eightbit)
		buf_printf(out, " BODY=%s", m->body != NULL ? m->body : "8BITMIME");
	if (m->ret != NULL)
		buf_printf(out, " RET=%s", m->ret);
	if (m->envid != NULL) {
		buf_adds(out, " ENVID=");
		xtext_encode(out, sv_str(m->envid));
	}
	if (needs_utf8(m))
		buf_adds(out, " SMTPUTF8");
	buf_adds(out, "\r\n");
}

static void put_rcpt(struct sendmail *m, size_t i, struct buf *out)
{
	buf_adds(out, "RCPT TO:<");
	smtp_path_quote(out, m->rcpt[i]);
	buf_adds(out, ">");
	if (m->notify != NULL)
		buf_printf(out, " NOTIFY=%s", m->notify);
	else if (m->verbose)
		buf_adds(out, " NOTIFY=SUCCESS,FAILURE,DELAY");
	buf_adds(out, "\r\n");
}

static int recipients(struct sendmail *m, struct link *l)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < m->nrcpt; i += RCPT_BATCH) {
		size_t end = i + RCPT_BATCH < m->nrcpt ? i + RCPT_BATCH : m->nrcpt;
		for (size_t k = i; k < end; k++)
			put_rcpt(m, k, &l->out);
		rc = send_all(l);
		for (size_t k = i; rc == 0 && k < end; k++) {
			rc = next_reply(l);
			if (rc == 0 && l->reply.code / 100 != 2)
				rc = refused(l, "recipient");
		}
	}
	return rc;
}

static int content(struct sendmail *m, struct link *l)
{
	struct dot_enc e = {0};
	struct sv rest = buf_sv(&m->text);
	int rc = 0;

	while (rc == 0 && rest.n > 0) {
		struct sv piece = sv_head(rest, 65536);
		dot_encode(&e, piece, &l->out);
		rest = sv_skip(rest, piece.n);
		rc = send_all(l);
	}
	dot_encode_end(&e, &l->out);
	return rc == 0 ? expect(l, 250, "message") : rc;
}

int sendmail_submit(struct sendmail *m)
{
	struct link l;
	int rc = link_open(m, &l);

	if (rc == 0)
		rc = expect(&l, 220, "greeting");
	if (rc == 0) {
		put_mail(m, &l.out);
		rc = expect(&l, 250, "sender");
	}
	if (rc == 0)
		rc = recipients(m, &l);
	if (rc == 0) {
		buf_adds(&l.out, "DATA\r\n");
		rc = expect(&l, 354, "message");
	}
	if (rc == 0)
		rc = content(m, &l);
	if (rc == 0) {
		buf_adds(&l.out, "QUIT\r\n");
		send_all(&l);
	}
	link_close(&l);
	return rc;
}

int sendmail_verify(struct sendmail *m)
{
	struct link l;
	int rc = link_open(m, &l), worst = 0;

	if (rc == 0)
		rc = expect(&l, 220, "greeting");
	for (size_t i = 0; rc == 0 && i < m->nrcpt; i++) {
		buf_adds(&l.out, "VRFY <");
		smtp_path_quote(&l.out, m->rcpt[i]);
		buf_adds(&l.out, ">\r\n");
		rc = send_all(&l);
		if (rc == 0)
			rc = next_reply(&l);
		if (rc != 0)
			break;
		printf(SV_FMT "... %s\n", SV_ARG(m->rcpt[i]),
		    l.reply.code / 100 == 2 ? "deliverable" : buf_cstr(&l.reply.text));
		if (l.reply.code >= 500)
			worst = EX_NOUSER;
		else if (l.reply.code >= 400 && worst == 0)
			worst = EX_TEMPFAIL;
	}
	link_close(&l);
	return rc != 0 ? rc : worst;
}

/* Copies what is there from one descriptor to the other; false at the end. */
static bool copy(int from, int to)
{
	char data[16384];
	ssize_t r = read(from, data, sizeof(data));

	if (r < 0)
		return errno == EINTR || errno == EAGAIN;
	for (ssize_t done = 0; done < r;) {
		ssize_t w = write(to, data + done, (size_t)(r - done));
		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0)
			return false;
		done += w;
	}
	return r > 0;
}

int sendmail_dialogue(struct sendmail *m)
{
	struct link l;
	int rc = link_open(m, &l);
	struct pollfd p[2] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = l.fd, .events = POLLIN}};

	while (rc == 0 && poll(p, 2, -1) >= 0) {
		if (p[1].revents != 0 && !copy(l.fd, STDOUT_FILENO))
			break;
		if (p[0].revents != 0 && !copy(STDIN_FILENO, l.fd)) {
			shutdown(l.fd, SHUT_WR); /* the last replies still come */
			p[0].fd = -1;
		}
	}
	link_close(&l);
	return rc;
}

/* log.c - one line to one sink; see log.h. */
#include "log/log.h"

#include <sys/socket.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/utf8.h"

#define SYSLOG_MAIL (2 << 3) /* facility "mail" of RFC 3164 */
#define IDENT_MAX 64

/* The log sink: the one writable object that lib/ allows itself, since every line needs it and there is one per
 * process. */
static struct {
	char ident[IDENT_MAX];
	enum log_sink sink;
	int fd;
	bool verbose;
	char *ring[LOG_RING_LINES]; /* datagrams that the reader did not take yet */
	size_t ring_len[LOG_RING_LINES];
	unsigned first, count;
	uint64_t lost;
} self = {.ident = "merpati", .fd = -1};

static const char *const level_words[] = {"debug: ", "", "warning: ", "error: ", "fatal: "};
static const int syslog_levels[] = {7, 6, 4, 3, 2};

void log_open(const char *ident, enum log_sink sink, int fd)
{
	snprintf(self.ident, sizeof(self.ident), "%s", ident);
	self.sink = sink;
	self.fd = fd;
}

void log_set_verbose(bool on)
{
	self.verbose = on;
}

const char *log_ident(void)
{
	return self.ident;
}

int log_fd(void)
{
	return self.fd;
}

/* A field of the journal's native protocol: NAME=value, or length-prefixed when the value holds a newline. */
static void journal_field(struct buf *b, const char *name, struct sv value)
{
	if (sv_chr(value, '\n') < 0) {
		buf_printf(b, "%s=", name);
		buf_addsv(b, value);
	} else {
		uint64_t n = value.n; /* little endian on the wire; so are the machines that we build for */
		buf_printf(b, "%s\n", name);
		buf_add(b, &n, sizeof(n));
		buf_addsv(b, value);
	}
	buf_addc(b, '\n');
}

static void build_datagram(struct buf *b, enum log_level level, const char *qid, const struct log_field *fields,
    size_t nfields, struct sv text)
{
	switch (self.sink) {
	case LOG_SINK_JOURNAL:
		buf_printf(b, "PRIORITY=%d\nSYSLOG_FACILITY=2\nSYSLOG_IDENTIFIER=%s\nSYSLOG_PID=%d\n",
		    syslog_levels[level], self.ident, (int)getpid());
		if (qid != NULL)
			journal_field(b, "QUEUE_ID", sv_str(qid));
		for (size_t i = 0; i < nfields; i++)
			journal_field(b, fields[i].name, fields[i].value);
		buf_printf(b, "MESSAGE=%s", level_words[level]);
		buf_addsv(b, text);
		buf_addc(b, '\n');
		break;
	case LOG_SINK_SYSLOG: {
		char stamp[32];
		struct tm tm;
		time_t now = clock_wall();
		localtime_r(&now, &tm);
		strftime(stamp, sizeof(stamp), "%b %e %H:%M:%S", &tm);
		buf_printf(b, "<%d>%s %s[%d]: %s", SYSLOG_MAIL | syslog_levels[level], stamp, self.ident, (int)getpid(),
		    level_words[level]);
		buf_addsv(b, text);
		break;
	}
	case LOG_SINK_LOGD:
		buf_printf(b, "<%d> ", (int)level);
		buf_addsv(b, text);
		break;
	case LOG_SINK_STDERR:
		buf_printf(b, "%s: %s", self.ident, level_words[level]);
		buf_addsv(b, text);
		buf_addc(b, '\n');
		break;
	}
}

static bool try_send(const char *p, size_t n)
{
	if (self.sink == LOG_SINK_STDERR || self.fd < 0) {
		ssize_t unused ATTR_UNUSED = write(STDERR_FILENO, p, n); /* nowhere else to complain */
		return true;
	}
	while (send(self.fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
		if (errno == EINTR)
			continue;
		return errno != EAGAIN && errno != EWOULDBLOCK && errno != ENOBUFS; /* a reader that is gone: drop */
	}
	return true;
}

static void keep(const char *p, size_t n)
{
	if (self.count == LOG_RING_LINES) {
		self.lost++;
		return;
	}
	unsigned at = (self.first + self.count++) % LOG_RING_LINES;
	self.ring[at] = xmalloc(n);
	memcpy(self.ring[at], p, n);
	self.ring_len[at] = n;
}

void log_flush(void)
{
	while (self.count > 0) {
		unsigned at = self.first;
		if (!try_send(self.ring[at], self.ring_len[at]))
			return;
		free(self.ring[at]);
		self.first = (at + 1) % LOG_RING_LINES;
		self.count--;
	}
	if (self.lost > 0) {
		uint64_t n = self.lost;
		self.lost = 0;
		log_warn("%llu log lines were lost: the reader of the log was too slow", (unsigned long long)n);
	}
}

int log_wait_ms(void)
{
	return self.count > 0 ? LOG_RETRY_MS : -1;
}

static void emit(enum log_level level, const char *qid, const struct log_field *fields, size_t nfields, struct sv text)
{
	struct buf b = BUF_INIT(8 * LOG_LINE_MAX);
	build_datagram(&b, level, qid, fields, nfields, text);
	if (self.count > 0)
		log_flush();
	if (self.count > 0 || !try_send(b.p, b.n))
		keep(b.p, b.n);
	buf_free(&b);
}

static ATTR_PRINTF(5, 0) void log_vline(
    enum log_level level, const char *qid, const struct log_field *fields, size_t nfields, const char *fmt, va_list ap)
{
	char raw[LOG_LINE_MAX];
	struct buf text = BUF_INIT(LOG_LINE_MAX * 3);
	int head = qid != NULL ? snprintf(raw, sizeof(raw), "%s: ", qid) : 0;
	int n = vsnprintf(raw + head, sizeof(raw) - (size_t)head, fmt, ap);
	size_t len = (size_t)head + (n < 0 ? 0 : (size_t)n);

	if (len >= sizeof(raw))
		len = sizeof(raw) - 1;
	text_printable(&text, sv_of(raw, len));
	emit(level, qid, fields, nfields, buf_sv(&text));
	buf_free(&text);
}

void log_line(
    enum log_level level, const char *qid, const struct log_field *fields, size_t nfields, const char *fmt, ...)
{
	va_list ap;
	if (level == LOG_LVL_DEBUG && !self.verbose)
		return;
	va_start(ap, fmt);
	log_vline(level, qid, fields, nfields, fmt, ap);
	va_end(ap);
}

void log_fatal(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	log_vline(LOG_LVL_FATAL, NULL, NULL, 0, fmt, ap);
	va_end(ap);
	log_flush();
	exit(1);
}

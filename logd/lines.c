#include "logd/lines.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/utf8.h"
#include "log/log.h"

static int open_file(const struct lines *l, bool *regular, struct err *err)
{
	struct stat st;
	int fd = open(l->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, l->mode);

	if (fd < 0)
		return err_sys(err, "open %s", l->path);
	*regular = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
	return fd;
}

int lines_open(struct lines *l, const char *path, mode_t mode, const char *host, struct err *err)
{
	size_t n = strcspn(host, ".");

	memset(l, 0, sizeof(*l));
	l->path = xstrdup(path);
	l->mode = mode;
	buf_init(&l->out, LINES_MAX_WAIT);
	if (n >= sizeof(l->host))
		n = sizeof(l->host) - 1;
	memcpy(l->host, host, n);
	l->stamp_at = (time_t)-1;
	tzset();
	l->fd = open_file(l, &l->regular, err);
	if (l->fd >= 0)
		return 0;
	lines_close(l);
	return ERR_SYS;
}

int lines_reopen(struct lines *l, struct err *err)
{
	bool regular = false;
	int fd;

	if (!l->regular) /* a terminal or a pipe has no new file behind its name */
		return 0;
	lines_write(l); /* what came before the rotation belongs into the old file */
	fd = open_file(l, &regular, err);
	if (fd < 0)
		return ERR_SYS;
	fd_close(&l->fd);
	l->fd = fd;
	l->regular = regular;
	return 0;
}

void lines_close(struct lines *l)
{
	fd_close(&l->fd);
	free(l->path);
	l->path = NULL;
	buf_free(&l->out);
}

static const char *const level_words[] = {
    [LOG_LVL_DEBUG] = "",
    [LOG_LVL_INFO] = "",
    [LOG_LVL_WARNING] = "warning: ",
    [LOG_LVL_ERROR] = "error: ",
    [LOG_LVL_FATAL] = "fatal: ",
};

/* The usual line is printable ASCII and goes in as it is. */
static void put_text(struct buf *out, struct sv text)
{
	size_t n = 0;

	while (n < text.n && text.p[n] >= ' ' && text.p[n] <= '~')
		n++;
	buf_addsv(out, sv_head(text, n));
	if (n < text.n)
		text_printable(out, sv_skip(text, n));
}

static void put_line(struct lines *l, const char *ident, unsigned long pid, unsigned level, struct sv text)
{
	size_t before = l->out.n;

	buf_printf(&l->out, "%s %s %s[%lu]: %s", l->stamp, l->host, ident, pid, level_words[level]);
	put_text(&l->out, text);
	buf_addc(&l->out, '\n');
	if (l->out.overflow) { /* a line goes in whole or not at all */
		l->out.n = before;
		l->out.overflow = false;
		l->lost++;
	}
}

void lines_add(struct lines *l, time_t now, const char *ident, unsigned long pid, struct sv datagram)
{
	unsigned level = LOG_LVL_INFO;
	struct tm tm;

	if (now != l->stamp_at) {
		localtime_r(&now, &tm);
		strftime(l->stamp, sizeof(l->stamp), "%b %e %H:%M:%S", &tm);
		l->stamp_at = now;
	}
	if (datagram.n >= 4 && datagram.p[0] == '<' && ascii_isdigit(datagram.p[1]) && datagram.p[2] == '>' &&
	    datagram.p[3] == ' ') {
		level = (unsigned)(datagram.p[1] - '0');
		if (level >= ARRAY_LEN(level_words))
			level = LOG_LVL_INFO;
		datagram = sv_skip(datagram, 4);
	}
	while (datagram.n > 0 && (datagram.p[datagram.n - 1] == '\n' || datagram.p[datagram.n - 1] == '\0'))
		datagram.n--;
	datagram = sv_head(datagram, LINES_MAX_LINE);
	if (l->lost > 0 && l->out.n < LINES_MAX_WAIT / 2) {
		char note[80];
		int n = snprintf(note, sizeof(note), "%llu log lines lost: the log file could not be written",
		    (unsigned long long)l->lost);

		l->lost = 0;
		put_line(l, "merpati/logd", (unsigned long)getpid(), LOG_LVL_WARNING, sv_of(note, (size_t)n));
	}
	put_line(l, ident, pid, level, datagram);
}

int lines_write(struct lines *l)
{
	ssize_t n;

	if (l->out.n == 0)
		return 0;
	do
		n = write(l->fd, l->out.p, l->out.n);
	while (n < 0 && errno == EINTR);
	if (n > 0)
		buf_consume(&l->out, (size_t)n);
	return l->out.n == 0 ? 0 : 1;
}

/*
 * log.h - log lines in Postfix's form.  One process-wide sink (the one writable file-scope object that a library may
 * have).  A line is "QUEUEID: text" or "text"; the identity "merpati/smtpd[pid]" is put before it by the sink.  Bytes
 * that are not printable are written as '?' here, once, so a caller may pass text from outside through %s or SV_FMT.
 */
#ifndef MERPATI_LOG_H
#define MERPATI_LOG_H

#include "base/err.h"
#include "base/sv.h"

enum log_level { LOG_LVL_DEBUG, LOG_LVL_INFO, LOG_LVL_WARNING, LOG_LVL_ERROR, LOG_LVL_FATAL };

/* One structured field for the journal (QUEUE_ID=..., CLIENT=...); ignored by the other sinks. */
struct log_field {
	const char *name;
	struct sv value;
};

enum log_sink {
	LOG_SINK_STDERR,  /* tools, unit tests: "merpati/prog: text" */
	LOG_SINK_JOURNAL, /* fd: datagrams in the journal's native format */
	LOG_SINK_SYSLOG,  /* fd: RFC 3164 datagrams to /dev/log */
	LOG_SINK_LOGD	  /* fd: datagrams "<level> text" to logd, which knows whose socket it is */
};

/*
 * ident: "merpati/smtpd" or "merpati/submission/smtpd", copied.  The descriptor is used with MSG_DONTWAIT: a stopped
 * reader never stops the mail; up to LOG_RING_LINES lines wait, more are counted and the count is logged.
 */
void log_open(const char *ident, enum log_sink sink, int fd);
void log_set_verbose(bool on); /* debug lines on or off */
void log_flush(void);	       /* tries again to send what waits; the loop calls it */
int log_wait_ms(void);	       /* for the loop: LOG_RETRY_MS while lines wait for a slow reader, else -1 */
const char *log_ident(void);
int log_fd(void); /* the sink's descriptor, which a child that closes all others keeps; -1: none */

/* qid may be NULL.  A line longer than LOG_LINE_MAX is cut. */
#define LOG_LINE_MAX 2000
#define LOG_RING_LINES 200
#define LOG_RETRY_MS 100
void log_line(enum log_level level, const char *qid, const struct log_field *fields, size_t nfields, const char *fmt,
    ...) ATTR_PRINTF(5, 6);

#define log_debug(...) log_line(LOG_LVL_DEBUG, NULL, NULL, 0, __VA_ARGS__)
#define log_info(...) log_line(LOG_LVL_INFO, NULL, NULL, 0, __VA_ARGS__)
#define log_warn(...) log_line(LOG_LVL_WARNING, NULL, NULL, 0, __VA_ARGS__)
#define log_error(...) log_line(LOG_LVL_ERROR, NULL, NULL, 0, __VA_ARGS__)
#define log_qid(qid, ...) log_line(LOG_LVL_INFO, (qid), NULL, 0, __VA_ARGS__)

/* Logs "fatal: ..." and exits with status 1 after log_flush.  Start-up only, and only in programs. */
ATTR_NORETURN void log_fatal(const char *fmt, ...) ATTR_PRINTF(1, 2);

#endif

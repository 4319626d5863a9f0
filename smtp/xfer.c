/*
 * xfer.c - one transaction: MAIL, RCPT, DATA, content, and what each reply means for each recipient.  With PIPELINING
 * the commands up to DATA are one write (RFC 2920 section 3.1); LMTP has one reply for each accepted recipient at the
 * end (RFC 2033 section 4.2).
 */
#include "base/codec.h"
#include "proto/smtp_path.h"
#include "smtp/smtp.h"

static bool pipelined(const struct conn *c)
{
	return (c->ext.mask & SMTP_EXT_PIPELINING) && !c->no_pipelining;
}

/* --- commands --- */

static void add_rset(struct conn *c)
{
	buf_adds(&c->out, "RSET\r\n");
}

static void add_mail(struct conn *c)
{
	const struct mail_envelope *e = &c->job->d.env;

	buf_adds(&c->out, "MAIL FROM:<");
	if (e->sender.n > 0)
		smtp_path_quote(&c->out, e->sender);
	buf_addc(&c->out, '>');
	if (c->ext.mask & SMTP_EXT_SIZE)
		buf_printf(&c->out, " SIZE=%llu", (unsigned long long)e->size);
	/* A server without 8BITMIME gets 8-bit content as it is: nearly all of them take it, and rewriting breaks
	 * signatures. */
	if ((c->ext.mask & SMTP_EXT_8BITMIME) && (e->flags & MAIL_8BITMIME))
		buf_adds(&c->out, " BODY=8BITMIME");
	if ((c->ext.mask & SMTP_EXT_SMTPUTF8) && (e->flags & MAIL_SMTPUTF8))
		buf_adds(&c->out, " SMTPUTF8");
	if (c->ext.mask & SMTP_EXT_DSN) {
		if (e->envid.n > 0) {
			buf_adds(&c->out, " ENVID=");
			xtext_encode(&c->out, e->envid);
		}
		if (e->flags & (MAIL_RET_FULL | MAIL_RET_HDRS))
			buf_adds(&c->out, e->flags & MAIL_RET_FULL ? " RET=FULL" : " RET=HDRS");
	}
	buf_adds(&c->out, "\r\n");
}

static void add_notify(struct buf *out, unsigned notify)
{
	static const struct {
		unsigned bit;
		const char *word;
	} words[] = {{MAIL_NOTIFY_SUCCESS, "SUCCESS"}, {MAIL_NOTIFY_FAILURE, "FAILURE"}, {MAIL_NOTIFY_DELAY, "DELAY"}};
	const char *sep = " NOTIFY=";

	if (notify & MAIL_NOTIFY_NEVER) {
		buf_adds(out, " NOTIFY=NEVER");
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (!(notify & words[i].bit))
			continue;
		buf_printf(out, "%s%s", sep, words[i].word);
		sep = ",";
	}
}

/* RFC 3461 section 4.2: the address that the sender knew. */
static void add_orcpt(struct buf *out, const struct mail_rcpt *r)
{
	ssize_t semicolon = sv_chr(r->orcpt, ';');

	if (semicolon > 0) {
		buf_adds(out, " ORCPT=");
		buf_addsv(out, sv_head(r->orcpt, (size_t)semicolon + 1));
		xtext_encode(out, sv_skip(r->orcpt, (size_t)semicolon + 1));
	} else if (r->orig.n > 0) {
		buf_adds(out, " ORCPT=rfc822;");
		xtext_encode(out, r->orig);
	}
}

static void add_rcpt(struct conn *c, size_t at)
{
	const struct mail_rcpt *r = &c->job->rcpt[c->job->txn[at]].in->rcpt;

	buf_adds(&c->out, "RCPT TO:<");
	smtp_path_quote(&c->out, r->addr);
	buf_addc(&c->out, '>');
	if (c->ext.mask & SMTP_EXT_DSN) {
		add_notify(&c->out, r->notify);
		add_orcpt(&c->out, r);
	}
	buf_adds(&c->out, "\r\n");
}

static void add_data(struct conn *c)
{
	buf_adds(&c->out, "DATA\r\n");
}

/* --- the course of a transaction --- */

static void over(struct conn *c)
{
	struct job *j = c->job;

	stream_set_timeout(c->stream, 0);
	dest_release(c->smtp, c);
	job_transaction_over(j);
}

static uint64_t timeout_of(const struct conn *c, enum phase phase)
{
	const struct cfg *cfg = &c->smtp->cfg;

	switch (phase) {
	case PH_RSET: return cfg->rset_timeout;
	case PH_MAIL: return cfg->mail_timeout;
	case PH_RCPT: return cfg->rcpt_timeout;
	case PH_DATA: return cfg->data_init_timeout;
	default: return cfg->data_done_timeout;
	}
}

/* The next reply is about `phase`; without pipelining its command goes out now. */
static void advance(struct conn *c, enum phase phase)
{
	if (!pipelined(c)) {
		if (phase == PH_MAIL)
			add_mail(c);
		else if (phase == PH_RCPT)
			add_rcpt(c, c->rcpt_at);
		else if (phase == PH_DATA)
			add_data(c);
		conn_send(c);
	}
	conn_expect(c, phase, timeout_of(c, phase));
}

/* The reply as the fate of recipients: those of txn from `from` to `to` that `accepted_only` does not leave out. */
static void fail_rcpts(struct conn *c, size_t from, size_t to, bool accepted_only, const char *command)
{
	struct job *j = c->job;
	struct buf text = BUF_INIT(MAIL_TEXT_MAX);
	char dsn[SMTP_DSN_MAX];

	conn_reply_dsn(c, dsn);
	if (dsn[0] != '4' && dsn[0] != '5') { /* a 2xx or 3xx that makes no sense here */
		memcpy(dsn, "4.5.0", 6);
		c->no_reuse = true;
	}
	conn_said(c, command, &text);
	for (size_t i = from; i < to; i++)
		if (!accepted_only || j->rcpt[j->txn[i]].accepted)
			result_failed(j, j->txn[i], dsn, c->relay, buf_cstr(&text), c->uses);
	buf_free(&text);
}

static void on_rset(struct conn *c)
{
	c->needs_rset = false;
	advance(c, PH_MAIL);
}

static void on_mail(struct conn *c)
{
	if (c->reply.code / 100 != 2) {
		c->mail_failed = true;
		c->needs_rset = true;
		fail_rcpts(c, 0, c->job->ntxn, false, "MAIL FROM command");
		if (!pipelined(c)) {
			over(c);
			return;
		}
	}
	advance(c, PH_RCPT);
}

static void on_rcpt(struct conn *c)
{
	struct job *j = c->job;

	if (!c->mail_failed) {
		if (c->reply.code / 100 == 2) {
			j->rcpt[j->txn[c->rcpt_at]].accepted = true;
			c->accepted++;
		} else {
			fail_rcpts(c, c->rcpt_at, c->rcpt_at + 1, false, "RCPT TO command");
		}
	}
	if (++c->rcpt_at < j->ntxn) {
		advance(c, PH_RCPT);
	} else if (c->accepted == 0 && !pipelined(c)) {
		c->needs_rset = true;
		over(c);
	} else {
		advance(c, PH_DATA);
	}
}

static void on_data(struct conn *c)
{
	struct job *j = c->job;

	if (c->reply.code != 354) {
		c->needs_rset = true;
		fail_rcpts(c, 0, j->ntxn, true, "DATA command");
		over(c);
		return;
	}
	if (c->accepted == 0) { /* it took DATA without a recipient: end the content, and have no more to do with it */
		buf_adds(&c->out, ".\r\n");
		conn_send(c);
		c->no_reuse = true;
		over(c);
		return;
	}
	content_start(&c->content, j->d.fd, &j->d.env.content, c->smtp->cfg.line_length_limit);
	c->phase = PH_BODY;
	stream_set_timeout(c->stream, c->smtp->cfg.data_xfer_timeout);
	xfer_drained(c);
}

void xfer_drained(struct conn *c)
{
	struct err err;

	if (c->phase != PH_BODY)
		return;
	while (!c->content.done && !stream_full(c->stream)) {
		if (content_next(&c->content, &c->out, &err) < 0) {
			log_line(LOG_LVL_ERROR, c->job->qid, NULL, 0, "%s", err.text);
			conn_fail(c, "4.3.0", "mail system error: cannot read the message");
			return;
		}
		conn_send(c);
	}
	if (!c->content.done)
		return;
	stream_set_timeout(c->stream, 0);
	c->rcpt_at = 0;
	conn_expect(c, PH_FINAL, c->smtp->cfg.data_done_timeout);
	/* A reply that came too early waits in the buffer: look at it. */
	if (stream_in(c->stream).n > 0)
		stream_pause(c->stream, false);
}

static unsigned sent_flags(const struct conn *c)
{
	if (c->ext.mask & SMTP_EXT_DSN)
		return DV_NO_DSN;
	return c->smtp->cfg.lmtp ? 0 : DV_RELAYED_NO_DSN;
}

static void final_for(struct conn *c, size_t from, size_t to)
{
	struct job *j = c->job;
	struct buf text = BUF_INIT(MAIL_TEXT_MAX);
	char dsn[SMTP_DSN_MAX];

	if (c->reply.code / 100 != 2) {
		fail_rcpts(c, from, to, true, "end of DATA command");
		return;
	}
	conn_reply_dsn(c, dsn);
	conn_reply_text(c, &text);
	for (size_t i = from; i < to; i++)
		if (j->rcpt[j->txn[i]].accepted)
			result_record(j, j->txn[i], DV_SENT, dsn, c->relay, buf_cstr(&text), sent_flags(c), c->uses);
	buf_free(&text);
}

/* LMTP: which of the accepted recipients is next; ntxn when there is none. */
static size_t next_accepted(const struct job *j, size_t from)
{
	while (from < j->ntxn && !j->rcpt[j->txn[from]].accepted)
		from++;
	return from;
}

static void on_final(struct conn *c)
{
	struct job *j = c->job;

	if (!c->smtp->cfg.lmtp) {
		final_for(c, 0, j->ntxn);
		over(c);
		return;
	}
	c->rcpt_at = next_accepted(j, c->rcpt_at);
	final_for(c, c->rcpt_at, c->rcpt_at + 1);
	c->rcpt_at = next_accepted(j, c->rcpt_at + 1);
	if (c->rcpt_at < j->ntxn)
		conn_expect(c, PH_FINAL, c->smtp->cfg.data_done_timeout);
	else
		over(c);
}

void xfer_reply(struct conn *c)
{
	static void (*const handlers[PH_COUNT])(struct conn *) = {
	    [PH_RSET] = on_rset,
	    [PH_MAIL] = on_mail,
	    [PH_RCPT] = on_rcpt,
	    [PH_DATA] = on_data,
	    [PH_FINAL] = on_final,
	};

	static const char *const commands[PH_COUNT] = {
	    [PH_MAIL] = "MAIL FROM command",
	    [PH_RCPT] = "RCPT TO command",
	    [PH_DATA] = "DATA command",
	};
	struct job *j = c->job;

	if (c->reply.code == 421 && c->uses > 1 && (c->phase == PH_RSET || c->phase == PH_MAIL)) {
		c->job = NULL; /* a kept connection that the host no longer wants */
		conn_close(c, true);
		job_conn_stale(j);
		return;
	}
	if (c->reply.code == 421 && commands[c->phase]) { /* the host is about to close: the transaction is dead */
		fail_rcpts(c, 0, j->ntxn, false, commands[c->phase]);
		over(c);
		return;
	}
	handlers[c->phase](c);
}

/* --- beginning --- */

/* What the host said at EHLO rules this message out: no host of the destination is asked again. */
static bool refuse_early(struct conn *c)
{
	struct job *j = c->job;
	char text[400];
	const char *dsn;

	if ((c->ext.mask & SMTP_EXT_SIZE) && c->ext.size > 0 && j->d.env.size > c->ext.size) {
		dsn = "5.3.4";
		snprintf(text, sizeof(text), "message size %llu exceeds size limit %llu of server %s",
		    (unsigned long long)j->d.env.size, (unsigned long long)c->ext.size, c->host);
	} else if ((j->d.env.flags & MAIL_SMTPUTF8) && !(c->ext.mask & SMTP_EXT_SMTPUTF8)) {
		dsn = "5.6.7";
		snprintf(text, sizeof(text), "SMTPUTF8 is required, but was not offered by host %s", c->host);
	} else {
		return false;
	}
	for (size_t i = 0; i < j->d.nrcpt; i++)
		result_failed(j, i, dsn, c->relay, text, c->uses);
	over(c);
	return true;
}

static void add_group(struct conn *c)
{
	if (c->needs_rset)
		add_rset(c);
	add_mail(c);
	for (size_t i = 0; i < c->job->ntxn; i++)
		add_rcpt(c, i);
	add_data(c);
}

void xfer_begin(struct conn *c)
{
	struct job *j = c->job;

	c->uses++;
	c->heard = c->mail_failed = c->no_pipelining = false;
	c->accepted = c->rcpt_at = 0;
	if (refuse_early(c))
		return;
	j->ntxn = 0;
	for (size_t i = 0; i < j->d.nrcpt; i++) {
		j->rcpt[i].accepted = false;
		if (!j->rcpt[i].done)
			j->txn[j->ntxn++] = i;
	}
	if (pipelined(c)) {
		add_group(c);
		if (c->out.overflow) { /* thousands of very long addresses */
			buf_reset(&c->out);
			c->no_pipelining = true;
		}
		conn_send(c);
	}
	if (c->needs_rset) {
		if (!pipelined(c)) {
			add_rset(c);
			conn_send(c);
		}
		conn_expect(c, PH_RSET, timeout_of(c, PH_RSET));
	} else {
		advance(c, PH_MAIL);
	}
}

/* dsn.c - see dsn.h. */
#include "message/dsn.h"

#include "base/err.h"
#include "message/date.h"

#define LINE_WRAP 78

static const char *const subjects[] = {
    [DSN_FAILURE] = "Undelivered Mail Returned to Sender",
    [DSN_DELAY] = "Delayed Mail (still being retried)",
    [DSN_SUCCESS] = "Successful Mail Delivery Report",
    [DSN_DOUBLE] = "Postmaster Copy: Undelivered Mail",
};

static const char *const intros[] = {
    [DSN_FAILURE] = "Your message could not be delivered to the recipients below.\n"
		    "What was tried and what came back stands behind each address.\n"
		    "No further attempt will be made.  For help, write to postmaster and\n"
		    "send this report along.\n",
    [DSN_DELAY] = "THIS IS A WARNING ONLY: THERE IS NO NEED TO SEND YOUR MESSAGE AGAIN.\n\n"
		  "Your message has not reached the recipients below yet.  Delivery is\n"
		  "tried again until the time in the attached report.\n",
    [DSN_SUCCESS] = "As you asked, this is to tell you that your message was delivered\n"
		    "or passed on for the recipients below.  If it was passed on to a\n"
		    "system that does not report back, you may hear nothing more.\n",
    [DSN_DOUBLE] = "A notice about undelivered mail could not be delivered itself.\n"
		   "It is returned to you as the postmaster of this system.\n",
};

static const char *const actions[] = {
    [DSN_FAILED] = "failed",
    [DSN_DELAYED] = "delayed",
    [DSN_DELIVERED] = "delivered",
    [DSN_RELAYED] = "relayed",
    [DSN_EXPANDED] = "expanded",
};

static const char *const returned[] = {
    [DSN_FAILURE] = "Undelivered Message",
    [DSN_DELAY] = "Delayed Message",
    [DSN_SUCCESS] = "Delivered Message",
    [DSN_DOUBLE] = "Undelivered Message",
};

/* One line of text from outside: no line end or other control byte can get through; 8-bit bytes only where allowed. */
static void clean(struct buf *out, struct sv s, bool utf8)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		(void)buf_addc(out, c < ' ' || c == 127 ? ' ' : c > 127 && !utf8 ? '?' : (char)c);
	}
}

/* The same, wrapped at blanks with continuation lines. */
static void folded(struct buf *out, struct sv s, bool utf8, const char *indent, size_t column)
{
	struct sv rest = s, word;
	bool first = true;
	while (sv_token(&rest, " \t\r\n", &word)) {
		if (!first && column + 1 + word.n > LINE_WRAP) {
			(void)buf_addc(out, '\n');
			(void)buf_adds(out, indent);
			column = 4;
		} else if (!first) {
			(void)buf_addc(out, ' ');
			column++;
		}
		clean(out, word, utf8);
		column += word.n;
		first = false;
	}
}

static void date_line(struct buf *out, const char *name, int64_t t)
{
	char date[DATE_MAX];
	date_rfc5322_local(date, t);
	(void)buf_printf(out, "%s: %s\n", name, date);
}

static void boundary(struct buf *out, const struct dsn_report *r)
{
	(void)buf_printf(out, "%s.%lld/%s", r->notice, (long long)r->now, r->host);
}

static void part(struct buf *out, const struct dsn_report *r, const char *description)
{
	(void)buf_adds(out, "\n--");
	boundary(out, r);
	(void)buf_printf(out, "\nContent-Description: %s\nContent-Type: ", description);
}

static void header(struct buf *out, const struct dsn_report *r)
{
	char date[DATE_MAX];
	date_rfc5322_local(date, r->now);
	(void)buf_printf(out, "Received: by %s (Merpati)\n\tid %s; %s\n", r->host, r->notice, date);
	(void)buf_printf(out, "Date: %s\nFrom: MAILER-DAEMON@%s (Mail Delivery System)\nSubject: %s\nTo: ", date,
	    r->host, subjects[r->kind]);
	clean(out, r->to, r->utf8);
	/* RFC 3834 section 5: nobody answers this automatically. */
	(void)buf_adds(out, "\nAuto-Submitted: auto-replied\nMIME-Version: 1.0\nContent-Type: multipart/report; "
			    "report-type=delivery-status;\n\tboundary=\"");
	boundary(out, r);
	(void)buf_adds(out, "\"\n");
	if (r->eightbit || r->utf8)
		(void)buf_adds(out, "Content-Transfer-Encoding: 8bit\n");
	(void)buf_printf(out, "Message-Id: <%s.%lld@%s>\n", r->notice, (long long)r->now, r->host);
}

/* What the remote host answered, of "host X said: 550 ... (in reply to ...)"; false: the text is our own. */
static bool remote_reply(struct sv text, struct sv *reply)
{
	ssize_t at = sv_find(text, SV(" said: ")), end;
	if (sv_starts(text, SV("host ")) && at >= 0)
		*reply = sv_skip(text, (size_t)at + strlen(" said: "));
	else if (text.n > 3 && text.p[0] >= '2' && text.p[0] <= '5' && text.p[3] == ' ')
		*reply = text;
	else
		return false;
	end = sv_find(*reply, SV(" (in reply to "));
	if (end >= 0)
		reply->n = (size_t)end;
	return true;
}

static void for_people(struct buf *out, const struct dsn_report *r)
{
	part(out, r, "Notification");
	(void)buf_printf(out, "text/plain; charset=%s\n", r->utf8 ? "utf-8" : "us-ascii");
	if (r->utf8)
		(void)buf_adds(out, "Content-Transfer-Encoding: 8bit\n");
	(void)buf_printf(out, "\nThis is the mail system at host %s.\n\n%s\n", r->host, intros[r->kind]);
	for (size_t i = 0; i < r->n; i++) {
		const struct dsn_rcpt *q = &r->rcpt[i];
		(void)buf_addc(out, '<');
		clean(out, q->addr, r->utf8);
		(void)buf_addc(out, '>');
		if (q->orig.n && !sv_eq(q->orig, q->addr)) {
			(void)buf_adds(out, " (expanded from <");
			clean(out, q->orig, r->utf8);
			(void)buf_adds(out, ">)");
		}
		(void)buf_adds(out, ":\n    ");
		if (q->remote_mta.n && !sv_starts(q->text, SV("host "))) {
			(void)buf_adds(out, "host ");
			clean(out, q->remote_mta, r->utf8);
			(void)buf_adds(out, " said:\n    ");
		}
		folded(out, q->text, r->utf8, "    ", 4);
		(void)buf_adds(out, "\n\n");
	}
}

/* Type and address of ORCPT, or "rfc822; address" (RFC 3464 section 2.3.1). */
static void typed_address(struct buf *out, const char *name, struct sv type, struct sv addr, bool utf8)
{
	(void)buf_printf(out, "%s: ", name);
	clean(out, type, utf8);
	(void)buf_adds(out, "; ");
	clean(out, addr, utf8);
	(void)buf_addc(out, '\n');
}

static void for_machines_rcpt(struct buf *out, const struct dsn_report *r, const struct dsn_rcpt *q)
{
	(void)buf_addc(out, '\n');
	if (q->orcpt.n) {
		struct sv rest = q->orcpt, type = sv_cut(&rest, ";");
		if (rest.p)
			typed_address(out, "Original-Recipient", type, rest, r->utf8);
	}
	typed_address(out, "Final-Recipient", r->utf8 ? SV("utf-8") : SV("rfc822"), q->addr, r->utf8);
	(void)buf_printf(out, "Action: %s\nStatus: ", actions[q->action]);
	clean(out, q->status, false);
	(void)buf_addc(out, '\n');
	struct sv reply = q->text, mta = q->remote_mta;
	bool remote = mta.n && remote_reply(q->text, &reply);
	if (remote) /* "name[address]:port" of the log: the name */
		typed_address(out, "Remote-MTA", SV("dns"), sv_cut(&mta, "["), false);
	(void)buf_adds(out, remote ? "Diagnostic-Code: smtp; " : "Diagnostic-Code: X-Merpati; ");
	folded(out, reply, r->utf8, "    ", 26);
	(void)buf_addc(out, '\n');
	if (q->last_attempt > 0)
		date_line(out, "Last-Attempt-Date", q->last_attempt);
	if (r->retry_until > 0)
		date_line(out, "Will-Retry-Until", r->retry_until);
}

static void for_machines(struct buf *out, const struct dsn_report *r)
{
	part(out, r, "Delivery report");
	(void)buf_adds(out, r->utf8 ? "message/global-delivery-status\n" : "message/delivery-status\n");
	if (r->utf8)
		(void)buf_adds(out, "Content-Transfer-Encoding: 8bit\n");
	(void)buf_printf(out, "\nReporting-MTA: dns; %s\n", r->host);
	if (r->envid.n) {
		(void)buf_adds(out, "Original-Envelope-Id: ");
		clean(out, r->envid, false);
		(void)buf_addc(out, '\n');
	}
	(void)buf_adds(out, "X-Merpati-Queue-ID: ");
	clean(out, r->qid, false);
	(void)buf_addc(out, '\n');
	if (r->sender.n)
		typed_address(out, "X-Merpati-Sender", r->utf8 ? SV("utf-8") : SV("rfc822"), r->sender, r->utf8);
	date_line(out, "Arrival-Date", r->arrival);
	for (size_t i = 0; i < r->n; i++)
		for_machines_rcpt(out, r, &r->rcpt[i]);
}

int dsn_begin(struct buf *out, const struct dsn_report *r, size_t *header_len)
{
	size_t start = out->n;
	header(out, r);
	size_t len = out->n - start;
	(void)buf_adds(out, "\nThis is a MIME-encapsulated message.\n");
	for_people(out, r);
	for_machines(out, r);
	part(out, r, r->full ? returned[r->kind] : "Message Headers");
	if (r->full)
		(void)buf_adds(out, r->utf8 ? "message/global\n" : "message/rfc822\n");
	else
		(void)buf_adds(out, r->utf8 ? "message/global-headers\n" : "text/rfc822-headers\n");
	if (r->eightbit || r->utf8)
		(void)buf_adds(out, "Content-Transfer-Encoding: 8bit\n");
	(void)buf_addc(out, '\n');
	if (out->overflow)
		return ERR_LIMIT;
	*header_len = len;
	return 0;
}

int dsn_end(struct buf *out, const struct dsn_report *r)
{
	(void)buf_adds(out, "\n--");
	boundary(out, r);
	(void)buf_adds(out, "--\n");
	return out->overflow ? ERR_LIMIT : 0;
}

/* sendmail_msg.c - the message as sendmail gets it: addresses, text, header; parsed here, with the caller's own rights.
 */
#include <pwd.h>
#include <sysexits.h>

#include "message/addr.h"
#include "message/hdr.h"
#include "tools/sendmail.h"

#define TEXT_MAX (1u << 30) /* bytes of a message where message_size_limit sets no bound */

int sendmail_add(struct sendmail *m, struct sv list)
{
	struct addr_list al;

	if (addr_parse(&m->arena, list, SENDMAIL_RCPTS, &al) < 0 || al.cut)
		return sendmail_fatal(EX_DATAERR, "too many or too long addresses");
	for (size_t i = 0; i < al.n; i++) {
		CLEANUP(buf_freep) struct buf b = BUF_INIT(ADDR_TEXT_MAX);
		const struct addr *a = &al.v[i];
		if (a->kind != ADDR_MAILBOX || (a->local.n == 0 && a->domain.n == 0))
			continue;
		if (!addr_ok(a))
			return sendmail_fatal(EX_DATAERR, "bad address: " SV_FMT, SV_ARG(sv_head(list, 200)));
		if (m->nrcpt >= SENDMAIL_RCPTS)
			return sendmail_fatal(EX_DATAERR, "too many recipients");
		if (m->nrcpt == m->room) {
			m->room = m->room ? 2 * m->room : 16;
			m->rcpt = xreallocarray(m->rcpt, m->room, sizeof(*m->rcpt));
		}
		addr_internal(&b, a);
		if (arena_sv(&m->arena, buf_sv(&b), &m->rcpt[m->nrcpt]) < 0)
			return sendmail_fatal(EX_DATAERR, "too many recipients");
		m->nrcpt++;
	}
	return 0;
}

int sendmail_sender(struct sendmail *m)
{
	CLEANUP(buf_freep) struct buf b = BUF_INIT(2 * ADDR_LOCAL_MAX);
	struct sv text = sv_str(m->sender);
	struct passwd *pw;
	struct addr a;

	if (m->sender == NULL) {
		pw = getpwuid(getuid());
		if (pw == NULL)
			return sendmail_fatal(EX_OSERR, "unable to find local user name of uid %u", (unsigned)getuid());
		buf_adds(&b, pw->pw_name);
	} else if (sv_trim(text).n == 0 || sv_eqs(sv_trim(text), "<>")) {
		m->from = SV("");
		return 0;
	} else {
		if (addr_parse_one(&m->arena, text, &a) < 0 || !addr_ok(&a))
			return sendmail_fatal(EX_USAGE, "bad sender address: %s", m->sender);
		addr_internal(&b, &a);
	}
	if (b.n > 0 && sv_chr(buf_sv(&b), '@') < 0)
		buf_printf(&b, "@%s", m->myorigin);
	return arena_sv(&m->arena, buf_sv(&b), &m->from) < 0 ? EX_USAGE : 0;
}

/* ---- text ---- */

/* Takes the line in: CRLF becomes LF.  True at the dot that ends the message. */
static bool add_line(struct sendmail *m, const char *line, size_t n)
{
	if (n > 1 && line[n - 1] == '\n' && line[n - 2] == '\r') {
		buf_add(&m->text, line, n - 2);
		buf_addc(&m->text, '\n');
		return !m->dots && n == 3 && line[0] == '.';
	}
	if (!m->dots && ((n == 2 && memcmp(line, ".\n", 2) == 0) || (n == 1 && line[0] == '.')))
		return true;
	buf_add(&m->text, line, n);
	return false;
}

int sendmail_read(struct sendmail *m, FILE *in)
{
	CLEANUP(freep) char *line = NULL;
	size_t cap = 0;
	ssize_t n;
	uint64_t limit = m->size_limit > 0 && m->size_limit < TEXT_MAX ? m->size_limit : TEXT_MAX;

	buf_init(&m->text, limit + 65536);
	while ((n = getline(&line, &cap, in)) > 0) {
		if (add_line(m, line, (size_t)n))
			break;
		if (m->text.overflow || m->text.n > limit)
			return sendmail_fatal(EX_UNAVAILABLE, "message file too big");
	}
	if (ferror(in))
		return sendmail_fatal(EX_DATAERR, "cannot read the message: %s", strerror(errno));
	for (size_t i = 0; i < m->text.n && !m->eightbit; i++)
		m->eightbit = (unsigned char)m->text.p[i] > 127;
	return 0;
}

/* ---- header ---- */

static const char *full_name(const struct sendmail *m, char out[256])
{
	struct passwd *pw;
	size_t n = 0;

	if (m->full_name != NULL)
		return m->full_name;
	if (getenv("NAME") != NULL)
		return getenv("NAME");
	pw = getpwuid(getuid());
	if (pw == NULL || pw->pw_gecos == NULL)
		return "";
	for (const char *p = pw->pw_gecos; *p != '\0' && *p != ',' && n < 200;
	     p++) { /* "&" stands for the login name */
		if (*p == '&')
			n += (size_t)snprintf(out + n, 256 - n, "%.50s", pw->pw_name);
		else
			out[n++] = *p;
	}
	out[n] = '\0';
	return out;
}

/* smtpd would add From too, but does not know the caller's name. */
static void add_from(struct sendmail *m, bool resent, size_t at)
{
	CLEANUP(buf_freep) struct buf from = BUF_INIT(4096), value = BUF_INIT(2048);
	char name[256];
	const char *who = full_name(m, name);

	if (m->from.n == 0)
		return;
	if (who[0] != '\0') {
		addr_quote_phrase(&value, sv_str(who));
		buf_adds(&value, " <");
	}
	addr_external(&value, m->from);
	if (who[0] != '\0')
		buf_addc(&value, '>');
	hdr_fold(&from, resent ? "Resent-From" : "From", buf_sv(&value), "\n");
	if (from.overflow || value.overflow)
		return;
	m->text.max += from.n;
	if (buf_reserve(&m->text, from.n) == NULL)
		return;
	memmove(m->text.p + at + from.n, m->text.p + at, m->text.n - at);
	memcpy(m->text.p + at, from.p, from.n);
	m->text.n += from.n;
}

static bool any_resent(struct sv text)
{
	struct hdr_field f;

	while (hdr_next(&text, &f) == HDR_FIELD) {
		if (sv_istarts(f.name, SV("Resent-To")) || sv_istarts(f.name, SV("Resent-Cc")) ||
		    sv_istarts(f.name, SV("Resent-Bcc")) || sv_istarts(f.name, SV("Resent-From")))
			return true;
	}
	return false;
}

int sendmail_header(struct sendmail *m)
{
	static const char *const fields[2][3] = {{"To", "Cc", "Bcc"}, {"Resent-To", "Resent-Cc", "Resent-Bcc"}};
	struct sv text = buf_sv(&m->text), rest, value;
	struct hdr_field f;
	int rc = 0;

	/* A mailbox separator is no field; smtpd keeps it as X-Mailbox-Line. */
	if (sv_starts(text, SV("From ")) || sv_starts(text, SV(">From ")))
		text = sv_skip(text, (size_t)(sv_chr(text, '\n') < 0 ? (ssize_t)text.n : sv_chr(text, '\n') + 1));
	bool resent = any_resent(text);
	rest = text;
	while (rc == 0 && m->from_header && hdr_next(&rest, &f) == HDR_FIELD) {
		for (size_t i = 0; rc == 0 && i < 3; i++) {
			if (sv_ieqs(f.name, fields[resent][i])) {
				CLEANUP(buf_freep) struct buf flat = BUF_INIT(ADDR_TEXT_MAX);
				hdr_unfold(&flat, f.value);
				rc = sendmail_add(m, buf_sv(&flat));
			}
		}
	}
	if (rc == 0 && text.n > 0 && !hdr_find(text, resent ? "Resent-From" : "From", &value)) {
		rest = text;
		if (hdr_next(&rest, &f) == HDR_FIELD) /* there is a header that it can join */
			add_from(m, resent, (size_t)(text.p - m->text.p));
	}
	return rc;
}

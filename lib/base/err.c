/* err.c - error values with text; see err.h. */
#include "base/err.h"

static const char *const err_names[] = {"ok", "system error", "syntax error", "limit reached", "temporary failure",
    "timeout", "connection closed", "protocol error", "not found", "already exists", "denied", "corrupt data",
    "not supported"};

const char *err_name(int code)
{
	return code <= 0 && (size_t)-code < ARRAY_LEN(err_names) ? err_names[-code] : "unknown";
}

int err_set(struct err *err, int code, const char *fmt, ...)
{
	if (err != NULL) {
		va_list ap;
		err->code = code;
		err->sys = 0;
		va_start(ap, fmt);
		vsnprintf(err->text, sizeof(err->text), fmt, ap);
		va_end(ap);
	}
	return code;
}

int err_sys(struct err *err, const char *fmt, ...)
{
	int saved = errno;
	if (err != NULL) {
		va_list ap;
		char what[160], why[64];
		va_start(ap, fmt);
		vsnprintf(what, sizeof(what), fmt, ap);
		va_end(ap);
		err->code = ERR_SYS;
		err->sys = saved;
		snprintf(err->text, sizeof(err->text), "%s: %s", what, strerror_r(saved, why, sizeof(why)));
	}
	errno = saved;
	return ERR_SYS;
}

int err_prefix(struct err *err, const char *fmt, ...)
{
	char what[sizeof(err->text)], all[sizeof(err->text) * 2 + 2];
	va_list ap;

	if (err == NULL)
		return ERR_SYS;
	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	snprintf(all, sizeof(all), "%s: %s", what, err->text);
	memcpy(err->text, all, sizeof(err->text) - 1);
	err->text[sizeof(err->text) - 1] = '\0';
	return err->code;
}

#include "message/date.h"

#include "base/err.h"
#include "base/num.h"

static const char month_names[12][4] = {
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
static const char day_names[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};

/* RFC 5322 section 4.3: named zones; a military letter means -0000. */
static const struct {
	const char *name;
	int minutes;
} zones[] = {
    {"UT", 0},
    {"GMT", 0},
    {"UTC", 0},
    {"EST", -300},
    {"EDT", -240},
    {"CST", -360},
    {"CDT", -300},
    {"MST", -420},
    {"MDT", -360},
    {"PST", -480},
    {"PDT", -420},
};

#define T_MIN (-62167219200LL) /* 0000-01-01T00:00:00Z */
#define T_MAX 253402300799LL   /* 9999-12-31T23:59:59Z */

struct civil {
	int year, month, day, hour, min, sec, wday;
};

int64_t date_days(int year, int month, int day)
{
	/* Years begin in March here, so that the leap day is the last of its year. */
	int64_t y = month <= 2 ? (int64_t)year - 1 : year;
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t yoe = y - era * 400;
	int64_t doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

static void to_civil(int64_t t, int zone, struct civil *c)
{
	int64_t local, days, rest, era, doe, yoe, doy, mp;

	t = t < T_MIN ? T_MIN : t > T_MAX ? T_MAX : t;
	local = t + (int64_t)zone * 60;
	local = local < T_MIN ? T_MIN : local > T_MAX ? T_MAX : local;
	days = local / 86400;
	rest = local % 86400;
	if (rest < 0) {
		rest += 86400;
		days--;
	}
	c->hour = (int)(rest / 3600);
	c->min = (int)(rest / 60 % 60);
	c->sec = (int)(rest % 60);
	c->wday = (int)(((days + 4) % 7 + 7) % 7);
	days += 719468;
	era = (days >= 0 ? days : days - 146096) / 146097;
	doe = days - era * 146097;
	yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	mp = (5 * doy + 2) / 153;
	c->day = (int)(doy - (153 * mp + 2) / 5 + 1);
	c->month = (int)(mp < 10 ? mp + 3 : mp - 9);
	c->year = (int)(yoe + era * 400 + (c->month <= 2));
}

static int bound_zone(int zone)
{
	return zone < -1439 ? -1439 : zone > 1439 ? 1439 : zone;
}

static int month_days(int year, int month)
{
	static const int len[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return month == 2 && leap ? 29 : len[month - 1];
}

static bool civil_ok(const struct civil *c)
{
	return c->year >= 0 && c->year <= 9999 && c->month >= 1 && c->month <= 12 && c->day >= 1 &&
	       c->day <= month_days(c->year, c->month) && c->hour <= 23 && c->min <= 59 && c->sec <= 60;
}

static int64_t from_civil(const struct civil *c, int zone)
{
	return date_days(c->year, c->month, c->day) * 86400 + c->hour * 3600 + c->min * 60 +
	       (c->sec > 59 ? 59 : c->sec) - (int64_t)zone * 60;
}

void date_rfc5322(char out[DATE_MAX], int64_t t, int zone, const char *zone_name)
{
	struct civil c;
	int z, n;

	zone = bound_zone(zone);
	z = zone < 0 ? -zone : zone;
	to_civil(t, zone, &c);
	n = snprintf(out, DATE_MAX, "%s, %2d %s %04d %02d:%02d:%02d %c%02d%02d", day_names[c.wday], c.day,
	    month_names[c.month - 1], c.year, c.hour, c.min, c.sec, zone < 0 ? '-' : '+', z / 60, z % 60);
	if (zone_name && zone_name[0] && n > 0 && n < DATE_MAX)
		snprintf(out + n, (size_t)(DATE_MAX - n), " (%.7s)", zone_name);
}

void date_rfc5322_local(char out[DATE_MAX], int64_t t)
{
	char name[8];
	int zone = date_local_zone(t, name);

	date_rfc5322(out, t, zone, name);
}

void date_imap(char out[DATE_MAX], int64_t t, int zone)
{
	struct civil c;
	int z;

	zone = bound_zone(zone);
	z = zone < 0 ? -zone : zone;
	to_civil(t, zone, &c);
	snprintf(out, DATE_MAX, "%2d-%s-%04d %02d:%02d:%02d %c%02d%02d", c.day, month_names[c.month - 1], c.year,
	    c.hour, c.min, c.sec, zone < 0 ? '-' : '+', z / 60, z % 60);
}

int date_local_zone(int64_t t, char name[8])
{
	time_t when = (time_t)t;
	struct tm tm;

	if (!localtime_r(&when, &tm)) {
		if (name)
			snprintf(name, 8, "UTC");
		return 0;
	}
	if (name)
		snprintf(name, 8, "%.7s", tm.tm_zone ? tm.tm_zone : "");
	return (int)(tm.tm_gmtoff / 60);
}

/* A cursor over the words of a date: comments and white space are skipped, punctuation stands alone. */
static struct sv skip_cfws(struct sv s)
{
	int depth = 0;
	size_t i;

	for (i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (depth > 0 && c == '\\')
			i++;
		else if (c == '(')
			depth++;
		else if (depth > 0 && c == ')')
			depth--;
		else if (depth == 0 && !ascii_isspace((unsigned char)c))
			break;
	}
	return sv_skip(s, i);
}

static struct sv take_digits(struct sv *s)
{
	struct sv all;
	size_t n = 0;

	*s = skip_cfws(*s);
	all = *s;
	while (n < all.n && ascii_isdigit((unsigned char)all.p[n]))
		n++;
	*s = sv_skip(all, n);
	return sv_head(all, n);
}

static struct sv take_alpha(struct sv *s)
{
	struct sv all;
	size_t n = 0;

	*s = skip_cfws(*s);
	all = *s;
	while (n < all.n && ascii_isalpha((unsigned char)all.p[n]))
		n++;
	*s = sv_skip(all, n);
	return sv_head(all, n);
}

static bool take_char(struct sv *s, char c)
{
	*s = skip_cfws(*s);
	if (s->n == 0 || s->p[0] != c)
		return false;
	*s = sv_skip(*s, 1);
	return true;
}

/* A number of at most max_digits digits; -1 when there is none. */
static int number(struct sv digits, size_t max_digits)
{
	uint64_t v;

	if (digits.n > max_digits || num_u64(digits, &v) < 0)
		return -1;
	return (int)v;
}

static int month_of(struct sv name)
{
	for (int i = 0; i < 12; i++) {
		/* "September" and "Sept" are seen in the wild. */
		if (name.n >= 3 && sv_ieqs(sv_head(name, 3), month_names[i]))
			return i + 1;
	}
	return 0;
}

static bool take_zone(struct sv *s, int *zone)
{
	struct sv name;
	bool minus;

	*s = skip_cfws(*s);
	*zone = 0;
	if (s->n == 0)
		return true;
	if (s->p[0] == '+' || s->p[0] == '-') {
		struct sv d;
		int v;

		minus = s->p[0] == '-';
		*s = sv_skip(*s, 1);
		d = take_digits(s);
		v = number(d, 4);
		if (d.n != 4 || v % 100 > 59 || v / 100 > 23)
			return false;
		*zone = (minus ? -1 : 1) * (v / 100 * 60 + v % 100);
		return true;
	}
	name = take_alpha(s);
	if (name.n == 0)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(zones); i++) {
		if (sv_ieqs(name, zones[i].name))
			*zone = zones[i].minutes;
	}
	return true; /* unknown names mean -0000 (RFC 5322 section 4.3) */
}

/* RFC 5322 section 4.3: 00-49 are 2000-2049; 50-99 and three digits count from 1900. */
static int full_year(struct sv digits)
{
	int y = number(digits, 4);

	if (y < 0 || digits.n < 2)
		return -1;
	if (digits.n == 2)
		return y < 50 ? y + 2000 : y + 1900;
	return digits.n == 3 ? y + 1900 : y;
}

static bool take_time(struct sv *s, struct civil *c)
{
	c->hour = number(take_digits(s), 2);
	if (c->hour < 0 || !take_char(s, ':'))
		return false;
	c->min = number(take_digits(s), 2);
	if (c->min < 0)
		return false;
	c->sec = 0;
	if (take_char(s, ':')) {
		c->sec = number(take_digits(s), 2);
		if (c->sec < 0)
			return false;
	}
	return true;
}

int date_parse(struct sv s, int64_t *t, int *zone)
{
	struct civil c = {0};
	int z;

	if (take_alpha(&s).n > 0)
		take_char(&s, ','); /* the name of the day says nothing that the date does not */
	c.day = number(take_digits(&s), 2);
	take_char(&s, '-'); /* "21-Nov-2026", as some write it */
	c.month = month_of(take_alpha(&s));
	take_char(&s, '-');
	c.year = full_year(take_digits(&s));
	if (c.day < 0 || c.month == 0 || c.year < 0 || !take_time(&s, &c) || !take_zone(&s, &z) || !civil_ok(&c))
		return ERR_SYNTAX;
	*t = from_civil(&c, z);
	*zone = z;
	return 0;
}

/* Exactly n digits at p. */
static int fixed(const char *p, size_t n)
{
	return number(sv_of(p, n), n);
}

int date_parse_imap(struct sv s, int64_t *t, int *zone)
{
	struct civil c = {0};
	const char *p = s.p;
	int zh, zm;

	if (s.n != 26 || p[2] != '-' || p[6] != '-' || p[11] != ' ' || p[14] != ':' || p[17] != ':' || p[20] != ' ' ||
	    (p[21] != '+' && p[21] != '-'))
		return ERR_SYNTAX;
	c.day = p[0] == ' ' ? fixed(p + 1, 1) : fixed(p, 2);
	c.month = month_of(sv_of(p + 3, 3));
	c.year = fixed(p + 7, 4);
	c.hour = fixed(p + 12, 2);
	c.min = fixed(p + 15, 2);
	c.sec = fixed(p + 18, 2);
	zh = fixed(p + 22, 2);
	zm = fixed(p + 24, 2);
	if (c.hour < 0 || c.min < 0 || c.sec < 0 || zh < 0 || zh > 23 || zm < 0 || zm > 59 || !civil_ok(&c))
		return ERR_SYNTAX;
	*zone = (p[21] == '-' ? -1 : 1) * (zh * 60 + zm);
	*t = from_civil(&c, *zone);
	return 0;
}

int date_parse_imap_day(struct sv s, int64_t *t)
{
	struct civil c = {0};
	ssize_t dash = sv_chr(s, '-');
	struct sv rest;

	if (dash < 1 || dash > 2)
		return ERR_SYNTAX;
	rest = sv_skip(s, (size_t)dash + 1);
	if (rest.n != 8 || rest.p[3] != '-')
		return ERR_SYNTAX;
	c.day = number(sv_head(s, (size_t)dash), 2);
	c.month = month_of(sv_head(rest, 3));
	c.year = fixed(rest.p + 4, 4);
	if (!civil_ok(&c))
		return ERR_SYNTAX;
	*t = from_civil(&c, 0);
	return 0;
}

int64_t date_day(int64_t t, int zone)
{
	int64_t local = t + (int64_t)zone * 60, rest = local % 86400;

	return local - (rest < 0 ? rest + 86400 : rest);
}

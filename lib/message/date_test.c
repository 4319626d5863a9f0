#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/err.h"
#include "message/date.h"

static void test_format(void **state)
{
	char out[DATE_MAX];

	(void)state;
	date_rfc5322(out, 1795294800, 0, "UTC");
	assert_string_equal(out, "Sat, 21 Nov 2026 21:00:00 +0000 (UTC)");
	date_rfc5322(out, 1795294800, -210, NULL);
	assert_string_equal(out, "Sat, 21 Nov 2026 17:30:00 -0330");
	date_rfc5322(out, INT64_MAX, 99999, "ALONGZONENAME");
	assert_string_equal(out, "Fri, 31 Dec 9999 23:59:59 +2359 (ALONGZO)");
	date_rfc5322(out, INT64_MIN, 0, "");
	assert_string_equal(out, "Sat,  1 Jan 0000 00:00:00 +0000");
	date_imap(out, 837596665, -420);
	assert_string_equal(out, "17-Jul-1996 02:44:25 -0700");
	date_imap(out, 0, 0);
	assert_string_equal(out, " 1-Jan-1970 00:00:00 +0000");
}

static void test_parse(void **state)
{
	static const struct {
		const char *in;
		int64_t t;
		int zone;
	} good[] = {
	    {"Sat, 21 Nov 2026 21:00:00 +0000 (UTC)", 1795294800, 0},
	    {"21 Nov 2026 21:00:00 +0000", 1795294800, 0},
	    {"Sat, 21 Nov 2026 17:30:00 -0330", 1795294800, -210},
	    {"Sat,21 Nov 26 21:00 GMT", 1795294800, 0},
	    {"Sat, 21 Nov 126 16:00:00 EST", 1795294800, -300},
	    {" Sat (x) , 21(\\)) Nov\r\n 2026 21 : 00 : 00 Z", 1795294800, 0},
	    {"Saturday, 21-November-2026 21:00:00", 1795294800, 0},
	    {"Thu, 1 Jan 1970 00:00:00 +0000", 0, 0},
	    {"Wed, 31 Dec 1969 23:59:60 +0000", -1, 0},
	    {"29 Feb 2000 00:00 -0000", 951782400, 0},
	};
	static const char *const bad[] = {"", "x", "Sat, 21 Nov", "31 Feb 2026 00:00 +0000", "29 Feb 1900 00:00 +0000",
	    "21 Nov 2026 24:00 +0000", "21 Nov 2026 21:60 +0000", "21 Nov 2026 21:00 +9999", "21 Nov 2026 21:00 +00",
	    "21 Nov 20266 21:00 +0000", "21 Nix 2026 21:00 +0000", "0 Nov 2026 21:00 +0000", "21 Nov 6 21:00 +0000"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		int64_t t = 0;
		int zone = 0;

		assert_int_equal(date_parse(sv_str(good[i].in), &t, &zone), 0);
		assert_int_equal(t, good[i].t);
		assert_int_equal(zone, good[i].zone);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		int64_t t = 77;
		int zone = 78;

		assert_int_equal(date_parse(sv_str(bad[i]), &t, &zone), ERR_SYNTAX);
		assert_int_equal(t, 77);
		assert_int_equal(zone, 78);
	}
}

static void test_imap(void **state)
{
	int64_t t;
	int zone;

	(void)state;
	assert_int_equal(date_parse_imap(SV("17-Jul-1996 02:44:25 -0700"), &t, &zone), 0);
	assert_int_equal(t, 837596665);
	assert_int_equal(zone, -420);
	assert_int_equal(date_parse_imap(SV(" 1-jan-1970 00:00:00 +0000"), &t, &zone), 0);
	assert_int_equal(t, 0);
	assert_int_equal(date_parse_imap(SV("1-Jan-1970 00:00:00 +0000"), &t, &zone), ERR_SYNTAX);
	assert_int_equal(date_parse_imap(SV("32-Jan-1970 00:00:00 +0000"), &t, &zone), ERR_SYNTAX);
	assert_int_equal(date_parse_imap_day(SV("1-Feb-1994"), &t), 0);
	assert_int_equal(t, 760060800);
	assert_int_equal(date_parse_imap_day(SV("01-Feb-1994"), &t), 0);
	assert_int_equal(date_parse_imap_day(SV("001-Feb-1994"), &t), ERR_SYNTAX);
	assert_int_equal(date_parse_imap_day(SV("1-Feb-94"), &t), ERR_SYNTAX);
	assert_int_equal(date_parse_imap_day(SV("-Feb-1994"), &t), ERR_SYNTAX);
	assert_int_equal(date_day(837596665, -420), 837561600);
	assert_int_equal(date_day(-1, 0), -86400);
}

static void test_round_trip(void **state)
{
	(void)state;
	for (int64_t t = -62167219200LL + 86400; t < 253402300799LL - 86400; t += 86400LL * 37 + 12345) {
		char out[DATE_MAX];
		int64_t back;
		int zone = (int)(t % 1439), z;

		date_rfc5322(out, t, zone, "X");
		assert_int_equal(date_parse(sv_str(out), &back, &z), 0);
		assert_int_equal(back, t);
		assert_int_equal(z, zone);
		date_imap(out, t, zone);
		assert_int_equal(date_parse_imap(sv_str(out), &back, &z), 0);
		assert_int_equal(back, t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_format),
	    cmocka_unit_test(test_parse),
	    cmocka_unit_test(test_imap),
	    cmocka_unit_test(test_round_trip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* date.h - dates in messages (RFC 5322 sections 3.3, 4.3) and in IMAP (RFC 3501 date-time, date).  Pure but for
 * date_local_zone, which asks libc for the host's time zone. */
#ifndef MERPATI_DATE_H
#define MERPATI_DATE_H

#include <time.h>

#include "base/sv.h"

#define DATE_MAX 48 /* bytes of the longest text that is made here, with its NUL */

/*
 * "Sat, 21 Nov 2026 21:00:00 +0100 (CET)"; zone in minutes east of UTC (|zone| < 1440); zone_name NULL or "": without
 * comment.  Times out of the years 0..9999 are brought to the nearest end.
 */
void date_rfc5322(char out[DATE_MAX], int64_t t, int zone, const char *zone_name);
/* The same with the host's zone, as Postfix writes it in Received and Date. */
void date_rfc5322_local(char out[DATE_MAX], int64_t t);
/* "21-Nov-2026 21:00:00 +0100" with a leading blank for one-digit days (RFC 3501 date-day-fixed). */
void date_imap(char out[DATE_MAX], int64_t t, int zone);
/* Minutes east of UTC at that time; name (may be NULL) takes the zone's name, at most 7 bytes. */
int date_local_zone(int64_t t, char name[8]);

/*
 * RFC 5322 date with the obsolete forms (two-digit years, named and military zones, comments, missing seconds or
 * weekday, missing zone = -0000).  0 and seconds since 1970 and the zone in minutes, or ERR_SYNTAX with both untouched.
 */
int date_parse(struct sv s, int64_t *t, int *zone);
/* RFC 3501 date-time: without the quotes, exactly "dd-Mmm-yyyy hh:mm:ss +zzzz". */
int date_parse_imap(struct sv s, int64_t *t, int *zone);
/* RFC 3501 date ("1-Feb-1994", without quotes): midnight UTC of that day. */
int date_parse_imap_day(struct sv s, int64_t *t);
/* Midnight UTC of the day that stands on the calendar at time t in that zone: what IMAP SEARCH compares. */
int64_t date_day(int64_t t, int zone);

/* Days since 1970-01-01 of a proleptic Gregorian date; month 1..12. */
int64_t date_days(int year, int month, int day);

#endif

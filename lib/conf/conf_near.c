/* conf_near.c - edit distance over the table's names; see conf_near.h. */
#include "conf/conf_near.h"

#include "conf/conf_params.h"

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned m = a < b ? a : b;
	return m < c ? m : c;
}

unsigned conf_edit_distance(struct sv a, struct sv b, unsigned max)
{
	unsigned rows[3][CONF_NAME_MAX + 1];
	unsigned *before = rows[0], *last = rows[1], *now = rows[2];
	size_t gap = a.n > b.n ? a.n - b.n : b.n - a.n;
	if (gap > max || a.n > CONF_NAME_MAX || b.n > CONF_NAME_MAX)
		return max + 1;
	for (unsigned j = 0; j <= b.n; j++)
		last[j] = before[j] = j;
	for (unsigned i = 1; i <= a.n; i++) {
		unsigned best = now[0] = i;
		for (unsigned j = 1; j <= b.n; j++) {
			unsigned cost = a.p[i - 1] != b.p[j - 1];
			now[j] = min3(last[j] + 1, now[j - 1] + 1, last[j - 1] + cost);
			if (i > 1 && j > 1 && a.p[i - 1] == b.p[j - 2] && a.p[i - 2] == b.p[j - 1] &&
			    before[j - 2] + 1 < now[j])
				now[j] = before[j - 2] + 1;
			if (now[j] < best)
				best = now[j];
		}
		if (best > max)
			return max + 1;
		unsigned *free_row = before;
		before = last;
		last = now;
		now = free_row;
	}
	return last[b.n];
}

const char *conf_near(struct sv name)
{
	const char *found = NULL;
	unsigned best = name.n / 5 > 2 ? (unsigned)(name.n / 5) : 2;
	if (name.n < 3)
		return NULL;
	for (size_t i = 0; i < conf_nparams; i++) {
		unsigned d = conf_edit_distance(name, sv_str(conf_params[i].name), best);
		if (d > best || (found && d == best))
			continue;
		found = conf_params[i].name;
		best = d;
	}
	return found;
}

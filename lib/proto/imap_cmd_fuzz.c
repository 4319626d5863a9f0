/* imap_cmd_fuzz.c - a client's bytes: cut into commands, each read as tokens, as FETCH items, as SEARCH keys. */
#include "proto/imap_crit.h"
#include "proto/imap_item.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LITERAL_MAX 1000

static void use(struct sv command)
{
	struct arena a;
	struct imap_lex l;
	struct imap_items items;
	struct imap_search search;
	struct sv s;
	arena_init(&a, 1 << 20);
	imap_lex_init(&l, command, &a);
	if (imap_lex_tag(&l, &s) && imap_lex_sp(&l) && imap_lex_atom(&l, &s) && imap_lex_sp(&l)) {
		struct imap_lex save = l;
		imap_items_parse(&l, &items, NULL);
		l = save;
		imap_search_parse(&l, &search, NULL);
		l = save;
		while (imap_lex_astring(&l, &s) || imap_lex_sp(&l) || imap_lex_flag(&l, &s) || imap_lex_char(&l, '(') ||
		       imap_lex_char(&l, ')') || imap_lex_list_mailbox(&l, &s))
			;
	}
	arena_clear(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sv in = sv_of((const char *)data, size);
	while (in.n > 0) {
		struct imap_scan whole = {0}, piece = {0};
		enum imap_scan_result r, q = IMAP_SCAN_MORE;
		while ((r = imap_scan(&whole, in, 4096)) == IMAP_SCAN_LITERAL && whole.literal <= LITERAL_MAX)
			imap_scan_accept(&whole);
		for (size_t n = 0; n <= in.n && q == IMAP_SCAN_MORE; n++)
			while ((q = imap_scan(&piece, sv_head(in, n), 4096)) == IMAP_SCAN_LITERAL &&
			       piece.literal <= LITERAL_MAX)
				imap_scan_accept(&piece);
		BUG_ON(q != r && r != IMAP_SCAN_TOO_LONG);
		BUG_ON(r == IMAP_SCAN_DONE && (piece.end != whole.end || whole.end > in.n));
		if (r != IMAP_SCAN_DONE && r != IMAP_SCAN_LITERAL)
			return 0;
		use(sv_head(in, whole.end));
		in = sv_skip(in, whole.end);
	}
	return 0;
}

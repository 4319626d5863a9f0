/* smtp_cmd_fuzz.c - any line as an SMTP command with all its arguments. */
#include "proto/smtp_args.h"
#include "proto/smtp_cmd.h"
#include "proto/smtp_ext.h"
#include "proto/smtp_path.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct smtp_cmd cmd;
	struct smtp_path path;
	struct smtp_mail_args mail;
	struct smtp_rcpt_args rcpt;
	struct smtp_ext_set ext = {0};
	enum smtp_args_fault fault;
	struct sv rest, what, line = sv_of((const char *)data, size);
	uint64_t n;
	unsigned mask;
	bool last;

	smtp_cmd_parse(line, &cmd);
	BUG_ON(smtp_verb_name(cmd.verb) == NULL);
	smtp_bdat_args(cmd.args, &n, &last);
	smtp_ext_line(&ext, line);
	smtp_ext_list(line, &mask, &what);
	if (smtp_cmd_keyword(cmd.args, SV("FROM"), &rest) == 0 &&
	    smtp_path_parse(rest, SMTP_PATH_NULL, &path, &rest) == 0)
		smtp_mail_args(rest, &mail, &fault, &what);
	if (smtp_cmd_keyword(cmd.args, SV("TO"), &rest) == 0 && smtp_path_parse(rest, 0, &path, &rest) == 0)
		smtp_rcpt_args(rest, &rcpt, &fault, &what);
	return 0;
}

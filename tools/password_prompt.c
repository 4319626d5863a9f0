/* password_prompt.c - reading a password without showing it. */
#include "tools/password_prompt.h"

#include <termios.h>

#include "auth/pwhash.h"
#include "crypto/secret.h"

static char *read_line(FILE *f)
{
	char line[PWHASH_MAX_PASSWORD + 2];
	size_t n;
	char *s;

	if (!fgets(line, sizeof(line), f))
		return NULL;
	n = strlen(line);
	if (n && line[n - 1] == '\n')
		n--;
	if (n && line[n - 1] == '\r')
		n--;
	s = xstrndup(line, n);
	secret_clear(line, sizeof(line));
	return s;
}

static char *ask(const char *prompt)
{
	struct termios old, quiet;
	char *s;

	fputs(prompt, stderr);
	fflush(stderr);
	tcgetattr(STDIN_FILENO, &old);
	quiet = old;
	quiet.c_lflag &= ~(tcflag_t)ECHO;
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
	s = read_line(stdin);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &old);
	fputc('\n', stderr);
	return s;
}

char *password_prompt(void)
{
	char *one, *two;

	if (!isatty(STDIN_FILENO))
		return read_line(stdin);
	one = ask("Password: ");
	two = one ? ask("Again: ") : NULL;
	if (!one || !two || strcmp(one, two) != 0) {
		fputs("merpati user: the two are not the same\n", stderr);
		secret_free(&one);
	}
	secret_free(&two);
	return one;
}

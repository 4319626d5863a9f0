/* ports.c - listening sockets: taken from systemd, kept over a reload, or bound. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>

#include "base/num.h"
#include "master/master.h"

#define LISTEN_BACKLOG 4096

union address {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct sockaddr_storage any;
};

static socklen_t address_len(const union address *a)
{
	return a->sa.sa_family == AF_INET ? sizeof(a->in) : sizeof(a->in6);
}

static void address_text(const union address *a, char *out, size_t size)
{
	char host[INET6_ADDRSTRLEN] = "?";
	if (a->sa.sa_family == AF_INET) {
		inet_ntop(AF_INET, &a->in.sin_addr, host, sizeof(host));
		snprintf(out, size, "%s:%u", host, ntohs(a->in.sin_port));
	} else {
		inet_ntop(AF_INET6, &a->in6.sin6_addr, host, sizeof(host));
		snprintf(out, size, "[%s]:%u", host, ntohs(a->in6.sin6_port));
	}
}

/* Names that old services(5) files lack. */
static const struct {
	const char *name;
	uint16_t port;
} mail_ports[] = {{"smtp", 25}, {"submission", 587}, {"submissions", 465}, {"smtps", 465}, {"ssmtp", 465}, {"lmtp", 24},
    {"imap", 143}, {"imap2", 143}, {"imaps", 993}, {"pop3", 110}, {"pop-3", 110}, {"pop3s", 995}};

static int port_number(const char *text, uint16_t *port)
{
	uint64_t v;
	if (num_range(sv_str(text), 1, 65535, &v) == 0) {
		*port = (uint16_t)v;
		return 0;
	}
	for (size_t i = 0; i < ARRAY_LEN(mail_ports); i++) {
		if (strcmp(mail_ports[i].name, text) == 0) {
			*port = mail_ports[i].port;
			return 0;
		}
	}
	struct servent *se = getservbyname(text, "tcp");
	if (se == NULL)
		return ERR_NOT_FOUND;
	*port = ntohs((uint16_t)se->s_port);
	return 0;
}

/* A socket that systemd opened for this very address. */
static int activated(const union address *want)
{
	int n = sd_listen_fds(0);
	for (int fd = SD_LISTEN_FDS_START; fd < SD_LISTEN_FDS_START + n; fd++) {
		union address have = {.sa = {0}};
		socklen_t len = sizeof(have);
		char a[80], b[80];
		if (sd_is_socket(fd, AF_UNSPEC, SOCK_STREAM, 1) <= 0 || getsockname(fd, &have.sa, &len) < 0 ||
		    (have.sa.sa_family != AF_INET && have.sa.sa_family != AF_INET6))
			continue;
		address_text(want, a, sizeof(a));
		address_text(&have, b, sizeof(b));
		if (strcmp(a, b) == 0)
			return fcntl(fd, F_DUPFD_CLOEXEC, 3);
	}
	return -1;
}

static int bind_new(const union address *a, struct err *err)
{
	char text[80];
	int on = 1;
	CLEANUP(fd_closep) int fd = socket(a->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	address_text(a, text, sizeof(text));
	if (fd < 0)
		return err_sys(err, "socket for %s", text);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (a->sa.sa_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (bind(fd, &a->sa, address_len(a)) < 0)
		return err_sys(err, "bind %s", text);
	if (listen(fd, LISTEN_BACKLOG) < 0)
		return err_sys(err, "listen on %s", text);
	int out = fd;
	fd = -1; /* NOLINT(clang-analyzer-deadcode.DeadStores): so that CLEANUP does not close it */
	return out;
}

/* The place of the socket of this name in any service of the list; `taken`: one whose socket was taken. */
static int *socket_slot(struct service *list, const char *text, bool taken)
{
	for (; list != NULL; list = list->next) {
		for (size_t i = 0; i < list->nsockets; i++) {
			if ((list->sockets[i] < 0) == taken && strcmp(list->socket_name[i], text) == 0)
				return &list->sockets[i];
		}
	}
	return NULL;
}

static int take_from(struct service *old, const char *text)
{
	int *slot = socket_slot(old, text, false), fd = -1;
	if (slot != NULL) {
		fd = *slot;
		*slot = -1;
	}
	return fd;
}

bool ports_give_back(struct service *old, const char *name, int fd)
{
	int *slot = socket_slot(old, name, true);
	if (slot != NULL)
		*slot = fd;
	return slot != NULL;
}

static bool has_address(const struct service *s, const char *text)
{
	for (size_t i = 0; i < s->nsockets; i++) {
		if (strcmp(s->socket_name[i], text) == 0)
			return true;
	}
	return false;
}

static int add_socket(struct service *s, int fd, const char *text, struct err *err)
{
	if (s->nsockets == SERVICE_SOCKETS) {
		close(fd);
		return err_set(err, ERR_LIMIT, "service %s has more than %d addresses", s->name, SERVICE_SOCKETS);
	}
	s->sockets[s->nsockets] = fd;
	snprintf(s->socket_name[s->nsockets++], sizeof(s->socket_name[0]), "%s", text);
	return 0;
}

static int open_address(struct service *s, struct service *old, const union address *a, struct err *err)
{
	char text[80];
	address_text(a, text, sizeof(text));
	if (has_address(s, text))
		return 0; /* two names of inet_interfaces, or two lines of hosts(5), for one address */
	int fd = take_from(old, text);
	if (fd < 0)
		fd = activated(a);
	if (fd < 0)
		fd = bind_new(a, err);
	return fd < 0 ? fd : add_socket(s, fd, text, err);
}

static bool parse_address(struct sv host, uint16_t port, union address *a)
{
	CLEANUP(freep) char *text = sv_dup(host);
	memset(a, 0, sizeof(*a));
	if (inet_pton(AF_INET, text, &a->in.sin_addr) == 1) {
		a->in.sin_family = AF_INET;
		a->in.sin_port = htons(port);
		return true;
	}
	if (inet_pton(AF_INET6, text, &a->in6.sin6_addr) == 1) {
		a->in6.sin6_family = AF_INET6;
		a->in6.sin6_port = htons(port);
		return true;
	}
	return false;
}

static bool has_protocol(struct service *s, const char *which)
{
	CLEANUP(freep) char *protocols = config_value(s->m, "inet_protocols");
	return strstr(protocols, which) != NULL || strstr(protocols, "all") != NULL;
}

static int open_host(struct service *s, struct service *old, struct sv host, uint16_t port, struct err *err)
{
	union address a;
	if (parse_address(host, port, &a))
		return open_address(s, old, &a, err);
	CLEANUP(freep) char *name = sv_dup(host);
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list, *at;
	if (has_protocol(s, "ipv4") != has_protocol(s, "ipv6"))
		hints.ai_family = has_protocol(s, "ipv4") ? AF_INET : AF_INET6;
	int r = getaddrinfo(name, NULL, &hints, &list); /* at start only: hosts(5), as for "localhost:10025" */
	if (r != 0)
		return err_set(err, ERR_NOT_FOUND, "service %s: host %s: %s", s->name, name, gai_strerror(r));
	for (at = list, r = 0; at != NULL && r == 0; at = at->ai_next) {
		char text[INET6_ADDRSTRLEN];
		if (getnameinfo(at->ai_addr, at->ai_addrlen, text, sizeof(text), NULL, 0, NI_NUMERICHOST) == 0 &&
		    parse_address(sv_str(text), port, &a))
			r = open_address(s, old, &a, err);
	}
	freeaddrinfo(list);
	return r;
}

/* The addresses of inet_interfaces; one family may be missing on this host as long as the other is there. */
static int open_interfaces(struct service *s, struct service *old, uint16_t port, struct err *err)
{
	CLEANUP(freep) char *interfaces = config_value(s->m, "inet_interfaces");
	bool v4 = has_protocol(s, "ipv4"), v6 = has_protocol(s, "ipv6");
	struct sv rest = sv_str(interfaces), word;
	bool all = strcmp(interfaces, "all") == 0;
	struct err v6_err;
	int r = 0;

	if (all || strcmp(interfaces, "loopback-only") == 0) {
		if (v4 && (r = open_host(s, old, all ? SV("0.0.0.0") : SV("127.0.0.1"), port, err)) < 0)
			return r;
		if (v6 && (r = open_host(s, old, all ? SV("::") : SV("::1"), port, &v6_err)) < 0) {
			if (s->nsockets == 0 || (v6_err.sys != EAFNOSUPPORT && v6_err.sys != EADDRNOTAVAIL)) {
				*err = v6_err;
				return r;
			}
		}
		return 0;
	}
	while (r == 0 && sv_token(&rest, " \t\r\n,", &word)) {
		if (word.n > 2 && word.p[0] == '[')
			word = sv_of(word.p + 1, word.n - 2);
		r = open_host(s, old, word, port, err);
	}
	return r;
}

int ports_unix(const char *path, mode_t mode, struct err *err)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	CLEANUP(fd_closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (strlen(path) >= sizeof(a.sun_path))
		return err_set(err, ERR_LIMIT, "path of the socket is too long: %s", path);
	memcpy(a.sun_path, path, strlen(path));
	if (fd < 0)
		return err_sys(err, "socket");
	if (unlink(path) < 0 && errno != ENOENT)
		return err_sys(err, "remove old socket %s", path);
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || chmod(path, mode) < 0 || listen(fd, LISTEN_BACKLOG) < 0)
		return err_sys(err, "bind %s", path);
	int out = fd;
	fd = -1; /* NOLINT(clang-analyzer-deadcode.DeadStores): so that CLEANUP does not close it */
	return out;
}

/* Local sockets are for people's commands only (sendmail, postqueue): programs of the suite meet through master. */
static int open_local(struct service *s, struct service *old, struct err *err)
{
	CLEANUP(freep) char *queue = config_value(s->m, "queue_directory");
	CLEANUP(freep) char *path = xasprintf("%s/public/%s", queue, s->name);
	int fd = take_from(old, s->name);
	if (fd < 0)
		fd = ports_unix(path, 0666, err);
	return fd < 0 ? fd : add_socket(s, fd, s->name, err);
}

int ports_bind(struct service *s, struct service *old, struct err *err)
{
	uint16_t port;

	if (!s->inet) {
		bool local = strcmp(s->class->name, "qmgr") == 0 || strcmp(s->class->name, "smtpd") == 0;
		return local ? open_local(s, old, err) : 0;
	}
	if (port_number(s->entry->port, &port) < 0)
		return err_set(err, ERR_NOT_FOUND, "service %s: unknown port %s", s->name, s->entry->port);
	if (s->entry->host[0] != '\0')
		return open_host(s, old, sv_str(s->entry->host), port, err);
	return open_interfaces(s, old, port, err);
}

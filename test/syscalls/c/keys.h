// What the cases of keyrings(7) share.
#ifndef KEYS_H
#define KEYS_H
#include "check.h"
#include <linux/keyctl.h>
#include <sys/random.h>

typedef int32_t key;

#define SESSION KEY_SPEC_SESSION_KEYRING

#define keyctl(...) syscall(SYS_keyctl, __VA_ARGS__)

static inline key add_key(const char *type, const char *desc, const void *payload, size_t n, key ring) {
	return syscall(SYS_add_key, type, desc, payload, n, ring);
}

static inline key request_key(const char *type, const char *desc, const char *callout, key ring) {
	return syscall(SYS_request_key, type, desc, callout, ring);
}

static inline key user_key(const char *desc, key ring) {
	key k = add_key("user", desc, "data", 4, ring);
	CHECK(k > 0);
	return k;
}

static inline key new_ring(const char *desc, key ring) {
	key k = add_key("keyring", desc, NULL, 0, ring);
	CHECK(k > 0);
	return k;
}

// own_session gives the caller a session of its own.
static inline key own_session(void) {
	key k = keyctl(KEYCTL_JOIN_SESSION_KEYRING, NULL);
	CHECK(k > 0);
	return k;
}

static inline const char *describe(key k) {
	static char b[5000];
	long n = keyctl(KEYCTL_DESCRIBE, k, b, sizeof b);
	if (n < 0)
		return NULL;
	CHECK(n == (long)strlen(b) + 1);
	return b;
}

// described checks what KEYCTL_DESCRIBE says.
#define DESCRIBED(k, want) \
	do { \
		const char *d_ = describe(k); \
		if (!d_ || strcmp(d_, want)) { \
			fprintf(stderr, "%s:%d: %s is %s, want %s\n", __FILE__, __LINE__, #k, d_ ? d_ : strerror(errno), want); \
			_exit(1); \
		} \
	} while (0)

// has says whether the keyring holds the key.
static inline int has(key ring, key k) {
	key all[64];
	long n = keyctl(KEYCTL_READ, ring, all, sizeof all);
	CHECK(n >= 0 && n <= (long)sizeof all && n % sizeof *all == 0);
	for (int i = 0; i < n / (long)sizeof *all; i++)
		if (all[i] == k)
			return 1;
	return 0;
}

// stranger is a uid that nobody else uses.
static inline uid_t stranger(void) {
	uid_t u;
	CHECK(getrandom(&u, sizeof u, 0) == sizeof u);
	return 0x10000000 + (u & 0xfffffff);
}

// become takes the rights of a user.
static inline void become(uid_t u) {
	CHECK(syscall(SYS_setgroups, 0, NULL) == 0);
	CHECK(syscall(SYS_setresgid, u, u, u) == 0 && syscall(SYS_setresuid, u, u, u) == 0);
}

// line is the line of a file that begins with s, or NULL.
static inline const char *line(const char *file, const char *s) {
	static char b[1024];
	FILE *f = fopen(file, "r");
	CHECK(f);
	int found = 0;
	while (!found && fgets(b, sizeof b, f))
		found = !strncmp(b, s, strlen(s));
	fclose(f);
	return found ? b : NULL;
}
#endif

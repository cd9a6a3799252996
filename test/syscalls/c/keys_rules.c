// covers: keyctl add_key request_key
// keyrings(7): who has which keyrings, who may do what, quotas, and what /proc shows.
#include "keys.h"
#include <pthread.h>
#include <sched.h>

// In a child: what f says.
static long in_child(long (*f)(void)) {
	int p[2];
	long r = -1;
	CHECK(pipe(p) == 0);
	pid_t c = fork();
	if (c == 0) {
		r = f();
		CHECK(write(p[1], &r, sizeof r) == sizeof r);
		_exit(0);
	}
	CHECK(read(p[0], &r, sizeof r) == sizeof r);
	CHECK(waitpid(c, NULL, 0) == c);
	close(p[0]);
	close(p[1]);
	return r;
}

static key id(key k) { return keyctl(KEYCTL_GET_KEYRING_ID, k, 0); }

static long session(void) { return id(SESSION); }
static long process(void) { return id(KEY_SPEC_PROCESS_KEYRING); }
static long thread(void) { return id(KEY_SPEC_THREAD_KEYRING); }
static void *apart(void *f) { return (void *)((long (*)(void))f)(); }

static long in_thread(long (*f)(void)) {
	pthread_t t;
	void *r;
	CHECK(pthread_create(&t, NULL, apart, f) == 0 && pthread_join(t, &r) == 0);
	return (long)r;
}

static void inherited(void) {
	key s = own_session();
	CHECK(in_child(session) == s && in_thread(session) == s);
	CHECK(in_thread(thread) == -1);
	key t = keyctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_THREAD_KEYRING, 1);
	key p = keyctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_PROCESS_KEYRING, 1);
	CHECK(in_child(thread) == -1 && in_child(process) == -1);
	CHECK(in_thread(process) == p);
	long x = in_thread(thread); // one of its own, as its maker has one
	CHECK(x > 0 && x != t);
}

// A program has the session that executes it, and no other keyring.
static void executed(void) {
	char s[16], p[16];
	snprintf(s, sizeof s, "%d", own_session());
	snprintf(p, sizeof p, "%ld", keyctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_PROCESS_KEYRING, 1));
	execl("/proc/self/exe", "keys_rules", s, p, NULL);
	CHECK(0);
}

static int executing(char **argv) {
	CHECK(id(SESSION) == atoi(argv[1]));
	FAILS(id(KEY_SPEC_PROCESS_KEYRING), ENOKEY);
	CHECK(keyctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_PROCESS_KEYRING, 1) != atoi(argv[2]));
	_exit(0);
}

static void joined(void) {
	char name[32];
	snprintf(name, sizeof name, "session-%u", stranger());
	key s = keyctl(KEYCTL_JOIN_SESSION_KEYRING, name);
	CHECK(s > 0 && id(SESSION) == s && strstr(describe(s), "keyring;0;0;3f130000;session-"));
	key n = keyctl(KEYCTL_JOIN_SESSION_KEYRING, name); // nobody may search the first
	CHECK(n > 0 && n != s);
	CHECK(keyctl(KEYCTL_SETPERM, SESSION, 0x3f1b0000) == 0);
	CHECK(keyctl(KEYCTL_JOIN_SESSION_KEYRING, name) == 0); // it is there
	CHECK(own_session() != n);
	CHECK(in_child(session) != n);
	FAILS(keyctl(KEYCTL_JOIN_SESSION_KEYRING, ".hidden"), EPERM);
	FAILS(keyctl(KEYCTL_JOIN_SESSION_KEYRING, ""), EINVAL);
	FAILS(keyctl(KEYCTL_JOIN_SESSION_KEYRING, 8), EFAULT);
}

static long to_parent(void) { return own_session() > 0 ? keyctl(KEYCTL_SESSION_TO_PARENT) ? -errno : id(SESSION) : -1; }

static uid_t other_user;

static long to_parent_foreign(void) {
	become(other_user);
	return to_parent();
}

static void given_to_parent(void) {
	key s = own_session();
	other_user = stranger();
	CHECK(in_child(to_parent_foreign) == -EPERM && id(SESSION) == s);
	CHECK(in_child(to_parent) == id(SESSION) && id(SESSION) != s);
}

// The rights of the possessor, and of the key's user, its group and others.
static void permissions(void) {
	own_session();
	key k = user_key("k", SESSION);
	CHECK(keyctl(KEYCTL_SETPERM, k, 0x20000000) == 0); // to set it, if it is possessed
	FAILS(keyctl(KEYCTL_DESCRIBE, k, NULL, 0), EACCES);
	FAILS(keyctl(KEYCTL_UPDATE, k, "x", 1), EACCES);
	FAILS(keyctl(KEYCTL_LINK, k, KEY_SPEC_PROCESS_KEYRING), EACCES);
	FAILS(keyctl(KEYCTL_SEARCH, SESSION, "user", "k", 0), EACCES);
	FAILS(keyctl(KEYCTL_READ, k, NULL, 0), EACCES);
	// What can't be found is not possessed: its user's rights are all there is.
	FAILS(keyctl(KEYCTL_SETPERM, k, 0x3f000000), EACCES);
	key l = user_key("l", SESSION);
	CHECK(keyctl(KEYCTL_SETPERM, l, 0x08010000) == 0);
	CHECK(keyctl(KEYCTL_READ, l, NULL, 0) == 4); // as it can be found
	FAILS(keyctl(KEYCTL_UPDATE, l, "x", 1), EACCES);
	FAILS(keyctl(KEYCTL_SETPERM, l, 0x40000000), EINVAL);
	CHECK(keyctl(KEYCTL_UNLINK, l, SESSION) == 0); // which takes no right to it
}

static void foreign(void) {
	uid_t u = stranger();
	own_session();
	key k = user_key("k", SESSION), g = user_key("g", SESSION), o = user_key("o", SESSION);
	CHECK(keyctl(KEYCTL_SETPERM, k, 0x3f000003) == 0);
	CHECK(keyctl(KEYCTL_CHOWN, g, -1, u) == 0 && keyctl(KEYCTL_SETPERM, g, 0x3f000503) == 0);
	CHECK(keyctl(KEYCTL_CHOWN, o, u, -1) == 0);
	pid_t p = fork();
	if (p) { // whose session keeps the keys
		CHECK(ended_well(p));
		return;
	}
	become(u);
	own_session();
	CHECK(keyctl(KEYCTL_READ, k, NULL, 0) == 4 && describe(k));
	FAILS(keyctl(KEYCTL_UPDATE, k, "x", 1), EACCES);
	FAILS(keyctl(KEYCTL_READ, g, NULL, 0), EACCES); // its group's, not the others'
	CHECK(keyctl(KEYCTL_UPDATE, g, "x", 1) == 0);
	CHECK(keyctl(KEYCTL_DESCRIBE, o, NULL, 0) > 0);
	FAILS(keyctl(KEYCTL_SETPERM, o, 0x3f3f0000), EACCES);
	key mine = user_key("mine", SESSION);
	FAILS(keyctl(KEYCTL_CHOWN, mine, 0, -1), EACCES);
	FAILS(keyctl(KEYCTL_CHOWN, mine, -1, 0), EACCES);
	CHECK(keyctl(KEYCTL_CHOWN, mine, u, u) == 0 && keyctl(KEYCTL_CHOWN, mine, -1, -1) == 0);
	CHECK(keyctl(KEYCTL_SETPERM, mine, 0x3f3f3f3f) == 0);
	_exit(0);
}

// The keyring of a thread goes with its filesystem ids; those of users are by real ids.
static void of_changing_user(void) {
	uid_t u = stranger();
	char want[64];
	own_session();
	CHECK(keyctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_THREAD_KEYRING, 1) > 0);
	CHECK(syscall(SYS_setresuid, -1, u, -1) == 0);
	snprintf(want, sizeof want, "keyring;%u;0;3f010000;_tid", u);
	DESCRIBED(KEY_SPEC_THREAD_KEYRING, want);
	DESCRIBED(KEY_SPEC_USER_KEYRING, "keyring;0;65534;1f3f0000;_uid.0");
	CHECK(syscall(SYS_setresuid, u, u, u) == 0);
	snprintf(want, sizeof want, "keyring;%u;65534;1f3f0000;_uid.%u", u, u);
	DESCRIBED(KEY_SPEC_USER_KEYRING, want);
}

static void quota(void) {
	uid_t u = stranger();
	own_session();
	become(u);
	char desc[16], big[15000] = {1}, users[16];
	key s = own_session();
	key k = user_key("k", SESSION);
	int a, b, c, bytes, max;
	snprintf(users, sizeof users, "%5u: ", u);
	const char *l = line("/proc/key-users", users);
	CHECK(l && sscanf(l, "%*u: %*d %d/%d %d/200 %d/%d", &a, &b, &c, &bytes, &max) == 5);
	CHECK(a == 2 && b == 2 && c == 2 && max == 20000);
	CHECK(bytes == 5 + 4 + 2 + 4); // "_ses" and a link, "k" and its data
	CHECK(keyctl(KEYCTL_UPDATE, k, big, 1000) == 0);
	CHECK(sscanf(line("/proc/key-users", users), "%*u: %*d %*s %*s %d/", &bytes) == 1 && bytes == 15 + 996);
	CHECK(add_key("user", "big", big, sizeof big, SESSION) > 0);
	FAILS(add_key("user", "more", big, 5000, SESSION), EDQUOT);
	FAILS(add_key("user", "k", big, 6000, SESSION), EDQUOT);
	FAILS(keyctl(KEYCTL_SEARCH, SESSION, "user", "more", 0), ENOKEY);
	CHECK(keyctl(KEYCTL_CLEAR, SESSION) == 0);
	int n = 0;
	for (key x = 1; x > 0; n++) {
		snprintf(desc, sizeof desc, "%d", n);
		x = add_key("user", desc, "x", 1, s);
	}
	CHECK(errno == EDQUOT && n > 190 && n <= 200);
}

// A user namespace has users of its own, with keyrings of theirs.
static void in_namespace(void) {
	own_session();
	key k = user_key("k", SESSION), mine = id(KEY_SPEC_USER_KEYRING), s = id(SESSION);
	CHECK(unshare(CLONE_NEWUSER) == 0);
	DESCRIBED(k, "user;65534;65534;3f010000;k");
	CHECK(write_file("/proc/self/uid_map", "7 0 1") == 0);
	CHECK(write_file("/proc/self/setgroups", "deny") == 0 && write_file("/proc/self/gid_map", "8 0 1") == 0);
	DESCRIBED(k, "user;7;8;3f010000;k");
	CHECK(id(SESSION) == s && id(KEY_SPEC_USER_KEYRING) != mine);
	DESCRIBED(KEY_SPEC_USER_KEYRING, "keyring;7;65534;1f3f0000;_uid.7");
	FAILS(keyctl(KEYCTL_CHOWN, k, 0, -1), EINVAL);
	FAILS(keyctl(KEYCTL_CHOWN, k, -1, 0), EINVAL);
	FAILS(keyctl(KEYCTL_GET_PERSISTENT, 0, SESSION), EINVAL);
	CHECK(keyctl(KEYCTL_GET_PERSISTENT, 7, SESSION) > 0);
}

static void shown(void) {
	char at[16], rest[128];
	key s = own_session(), k = user_key("shown", SESSION);
	snprintf(at, sizeof at, "%08x ", k);
	const char *l = line("/proc/keys", at);
	CHECK(l && sscanf(l, "%*x I--Q--- %*d perm 3f010000     0     0 %127[^\n]", rest) == 1 && !strcmp(rest, "user      shown: 4"));
	CHECK(keyctl(KEYCTL_SET_TIMEOUT, k, 7210) == 0);
	l = line("/proc/keys", at);
	CHECK(l && sscanf(l, "%*x I--Q--- %*d   2h 3f010000 %127[^\n]", rest) == 1);
	snprintf(at, sizeof at, "%08x ", s);
	l = line("/proc/keys", at);
	CHECK(l && sscanf(l, "%*x I--Q--- %*d perm 3f030000     0     0 %127[^\n]", rest) == 1 && !strcmp(rest, "keyring   _ses: 1"));
	CHECK(keyctl(KEYCTL_SETPERM, k, 0x37000000) == 0); // not to be found: not possessed
	snprintf(at, sizeof at, "%08x ", k);
	CHECK(!line("/proc/keys", at));
	CHECK(line("/proc/key-users", "    0: "));
	CHECK(line("/proc/sys/kernel/keys/maxkeys", "200\n") && line("/proc/sys/kernel/keys/gc_delay", "300\n"));
}

int main(int argc, char **argv) {
	if (argc == 3)
		return executing(argv);
	if (absent("keyctl", keyctl(KEYCTL_ASSUME_AUTHORITY, 0)))
		return 0;
	// Who is in a container is in a session with its name, which others may join.
	CHECK(strstr(describe(SESSION), ";3f1b0000;_ses."));
	APART(inherited());
	APART(executed());
	APART(joined());
	APART(given_to_parent());
	APART(permissions());
	APART(foreign());
	APART(of_changing_user());
	APART(quota());
	APART(in_namespace());
	APART(shown());
	return 0;
}

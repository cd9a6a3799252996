// covers: keyctl add_key request_key
// keyrings(7), keyctl(2): what each operation does, and its errors.
#include "keys.h"

static void special_keyrings(void) {
	key s = own_session();
	DESCRIBED(SESSION, "keyring;0;0;3f030000;_ses");
	CHECK(keyctl(KEYCTL_GET_KEYRING_ID, SESSION, 0) == s);
	FAILS(keyctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_THREAD_KEYRING, 0), ENOKEY);
	FAILS(keyctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_PROCESS_KEYRING, 0), ENOKEY);
	key t = keyctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_THREAD_KEYRING, 1);
	CHECK(t > 0 && t == keyctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_THREAD_KEYRING, 0));
	DESCRIBED(t, "keyring;0;0;3f010000;_tid");
	CHECK(keyctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_PROCESS_KEYRING, 1) > 0);
	DESCRIBED(KEY_SPEC_PROCESS_KEYRING, "keyring;0;0;3f010000;_pid");
	DESCRIBED(KEY_SPEC_USER_KEYRING, "keyring;0;65534;1f3f0000;_uid.0");
	DESCRIBED(KEY_SPEC_USER_SESSION_KEYRING, "keyring;0;65534;1f3f0000;_uid_ses.0");
	CHECK(has(KEY_SPEC_USER_SESSION_KEYRING, keyctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_USER_KEYRING, 0)));
	FAILS(keyctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_GROUP_KEYRING, 0), EINVAL);
	FAILS(keyctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_REQKEY_AUTH_KEY, 0), ENOKEY);
	FAILS(keyctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_REQUESTOR_KEYRING, 0), ENOKEY);
	FAILS(keyctl(KEYCTL_GET_KEYRING_ID, -9, 0), EINVAL);
	FAILS(keyctl(KEYCTL_GET_KEYRING_ID, 0, 0), EINVAL);
	FAILS(keyctl(KEYCTL_GET_KEYRING_ID, 1, 0), ENOKEY);
	FAILS(keyctl(99), EOPNOTSUPP);
}

static void adding(void) {
	key s = own_session();
	char big[33000] = {0};
	key k = user_key("a", SESSION);
	CHECK(k > 2 && has(s, k));
	DESCRIBED(k, "user;0;0;3f010000;a");
	CHECK(add_key("user", "a", "other", 5, SESSION) == k);
	CHECK(keyctl(KEYCTL_READ, k, big, sizeof big) == 5 && !memcmp(big, "other", 6));
	key l = add_key("logon", "svc:a", "secret", 6, SESSION);
	DESCRIBED(l, "logon;0;0;3d010000;svc:a");
	FAILS(keyctl(KEYCTL_READ, l, big, sizeof big), EOPNOTSUPP);
	FAILS(add_key("logon", "a", "secret", 6, SESSION), EINVAL);
	FAILS(add_key("logon", ":a", "secret", 6, SESSION), EINVAL);
	key r = new_ring("r", SESSION);
	DESCRIBED(r, "keyring;0;0;3f010000;r");
	key again = new_ring("r", SESSION);
	CHECK(r != again && has(s, again) && !has(s, r));
	user_key(".dot", SESSION);
	FAILS(add_key("keyring", ".dot", NULL, 0, SESSION), EPERM);
	FAILS(add_key("keyring", "x", "x", 1, SESSION), EINVAL);
	FAILS(add_key("user", "", "x", 1, SESSION), EINVAL);
	FAILS(add_key("user", NULL, "x", 1, SESSION), EINVAL);
	FAILS(add_key("user", "x", "", 0, SESSION), EINVAL);
	FAILS(add_key("user", "x", big, 32768, SESSION), EINVAL);
	CHECK(add_key("user", "x", big, 32767, SESSION) > 0);
	FAILS(add_key("user", "x", big, 1 << 20, SESSION), EINVAL);
	FAILS(add_key("user", "x", NULL, 1, SESSION), EFAULT);
	FAILS(add_key(NULL, "x", "x", 1, SESSION), EFAULT);
	FAILS(add_key("", "x", "x", 1, SESSION), EINVAL);
	FAILS(add_key("nosuchtype", "x", "x", 1, SESSION), ENODEV);
	FAILS(add_key("0123456789012345678901234567890", "x", "x", 1, SESSION), ENODEV);
	FAILS(add_key("01234567890123456789012345678901", "x", "x", 1, SESSION), EINVAL);
	FAILS(add_key(".hidden", "x", "x", 1, SESSION), EPERM);
	FAILS(add_key("user", "x", "x", 1, k), ENOTDIR);
	FAILS(add_key("user", "x", "x", 1, 0), EINVAL);
	char long_desc[4097];
	memset(long_desc, 'd', 4096);
	long_desc[4096] = 0;
	FAILS(add_key("user", long_desc, "x", 1, SESSION), EINVAL);
	CHECK(add_key("user", long_desc + 1, "x", 1, SESSION) > 0);
}

static void reading(void) {
	own_session();
	key k = user_key("a", SESSION);
	char b[8] = "zzzzzzz";
	CHECK(keyctl(KEYCTL_READ, k, NULL, 0) == 4);
	CHECK(keyctl(KEYCTL_READ, k, b, 3) == 4 && !strcmp(b, "zzzzzzz"));
	CHECK(keyctl(KEYCTL_READ, k, b, 8) == 4 && !strcmp(b, "datazzz"));
	FAILS(keyctl(KEYCTL_READ, k, 8, 8), EFAULT);
	FAILS(keyctl(KEYCTL_READ, 1, b, 8), ENOKEY);
	CHECK(keyctl(KEYCTL_DESCRIBE, k, NULL, 0) == 20);
	memset(b, 'z', 8);
	CHECK(keyctl(KEYCTL_DESCRIBE, k, b, 8) == 20 && b[0] == 'z');
	CHECK(keyctl(KEYCTL_GET_SECURITY, k, NULL, 0) == 1);
	CHECK(keyctl(KEYCTL_GET_SECURITY, k, b, 8) == 1 && b[0] == 0 && b[1] == 'z');
	CHECK(keyctl(KEYCTL_UPDATE, k, "xx", 2) == 0);
	CHECK(keyctl(KEYCTL_READ, k, b, 8) == 2 && !memcmp(b, "xx", 2));
	FAILS(keyctl(KEYCTL_UPDATE, k, "xx", 0), EINVAL);
	FAILS(keyctl(KEYCTL_UPDATE, k, "xx", 4097), EINVAL);
	FAILS(keyctl(KEYCTL_UPDATE, SESSION, "xx", 2), EOPNOTSUPP);
}

static void linking(void) {
	key s = own_session(), z = new_ring("z", SESSION), y = new_ring("y", z), k = user_key("k", SESSION);
	FAILS(keyctl(KEYCTL_LINK, z, z), EDEADLK);
	FAILS(keyctl(KEYCTL_LINK, s, z), EDEADLK);
	FAILS(keyctl(KEYCTL_LINK, SESSION, y), EDEADLK);
	FAILS(keyctl(KEYCTL_LINK, k, k), ENOTDIR);
	CHECK(keyctl(KEYCTL_LINK, k, y) == 0 && has(y, k));
	CHECK(keyctl(KEYCTL_LINK, k, y) == 0);
	key other = user_key("k", z);
	CHECK(other != k && keyctl(KEYCTL_LINK, other, y) == 0 && has(y, other) && !has(y, k));
	CHECK(keyctl(KEYCTL_UNLINK, k, y) == 0 && !has(y, other)); // what has its name
	FAILS(keyctl(KEYCTL_UNLINK, k, y), ENOENT);
	FAILS(keyctl(KEYCTL_UNLINK, k, k), ENOTDIR);
	CHECK(keyctl(KEYCTL_LINK, other, y) == 0);
	CHECK(keyctl(KEYCTL_MOVE, k, SESSION, KEY_SPEC_PROCESS_KEYRING, 0) == 0 && !has(s, k));
	FAILS(keyctl(KEYCTL_MOVE, k, SESSION, KEY_SPEC_PROCESS_KEYRING, 0), ENOENT);
	FAILS(keyctl(KEYCTL_MOVE, k, KEY_SPEC_PROCESS_KEYRING, y, KEYCTL_MOVE_EXCL), EEXIST);
	FAILS(keyctl(KEYCTL_MOVE, k, KEY_SPEC_PROCESS_KEYRING, y, 2), EINVAL);
	CHECK(keyctl(KEYCTL_MOVE, k, y, y, KEYCTL_MOVE_EXCL) == 0);
	CHECK(keyctl(KEYCTL_MOVE, k, KEY_SPEC_PROCESS_KEYRING, y, 0) == 0 && has(y, k) && !has(y, other));
	FAILS(keyctl(KEYCTL_CLEAR, k), ENOTDIR);
	CHECK(keyctl(KEYCTL_CLEAR, y) == 0 && keyctl(KEYCTL_READ, y, NULL, 0) == 0);
}

// Six keyrings may lie in one that is linked, and searched.
static void too_deep(void) {
	own_session();
	key top = new_ring("0", SESSION), at = top;
	char name[2] = "1";
	for (; name[0] <= '6'; name[0]++) {
		at = new_ring(name, at);
		CHECK(keyctl(KEYCTL_SETPERM, at, 0x3f3f0000) == 0); // as what is too deep is not possessed
	}
	key k = user_key("found", at), other = new_ring("other", SESSION);
	CHECK(keyctl(KEYCTL_SEARCH, top, "user", "found", 0) == k);
	CHECK(keyctl(KEYCTL_LINK, top, other) == 0);
	key low = new_ring("7", KEY_SPEC_PROCESS_KEYRING);
	user_key("lost", low);
	CHECK(keyctl(KEYCTL_LINK, low, at) == 0);
	FAILS(keyctl(KEYCTL_SEARCH, top, "user", "lost", 0), ENOKEY);
	CHECK(keyctl(KEYCTL_UNLINK, top, other) == 0);
	FAILS(keyctl(KEYCTL_LINK, top, other), ELOOP);
}

static void searching(void) {
	own_session();
	key z = new_ring("z", SESSION), y = new_ring("y", z), k = user_key("k", y);
	CHECK(keyctl(KEYCTL_SEARCH, SESSION, "user", "k", 0) == k);
	CHECK(keyctl(KEYCTL_SEARCH, SESSION, "keyring", "y", 0) == y);
	CHECK(keyctl(KEYCTL_SEARCH, z, "keyring", "z", 0) == z);
	FAILS(keyctl(KEYCTL_SEARCH, SESSION, "user", "none", 0), ENOKEY);
	FAILS(keyctl(KEYCTL_SEARCH, SESSION, "nosuchtype", "k", 0), ENOKEY);
	FAILS(keyctl(KEYCTL_SEARCH, SESSION, "", "k", 0), EINVAL);
	FAILS(keyctl(KEYCTL_SEARCH, k, "user", "k", 0), ENOTDIR);
	FAILS(keyctl(KEYCTL_SEARCH, SESSION, "user", "k", k), ENOTDIR);
	FAILS(keyctl(KEYCTL_SEARCH, SESSION, "user", NULL, 0), EFAULT);
	CHECK(keyctl(KEYCTL_SEARCH, z, "user", "k", KEY_SPEC_PROCESS_KEYRING) == k);
	CHECK(has(KEY_SPEC_PROCESS_KEYRING, k));
}

static void requesting(void) {
	key s = own_session(), k = user_key("k", SESSION);
	CHECK(request_key("user", "k", NULL, 0) == k);
	CHECK(request_key("user", "k", NULL, KEY_SPEC_PROCESS_KEYRING) == k && has(KEY_SPEC_PROCESS_KEYRING, k));
	FAILS(request_key("user", "none", NULL, 0), ENOKEY);
	FAILS(request_key("nosuchtype", "none", NULL, 0), ENOKEY);
	FAILS(request_key("nosuchtype", "none", "info", 0), ENOKEY);
	FAILS(request_key("keyring", "none", "info", 0), EPERM);
	FAILS(request_key(".hidden", "none", "info", 0), EPERM);
	FAILS(request_key("user", "k", NULL, k), ENOTDIR);
	// Nobody makes keys, whether there is a program for that or not.
	CHECK(request_key("user", "none", "info", s) == -1 && (errno == ENOKEY || errno == ENOENT));
	FAILS(request_key("user", "none", "info", s), ENOKEY);
	FAILS(keyctl(KEYCTL_SEARCH, s, "user", "none", 0), ENOKEY);
	CHECK(add_key("user", "none", "x", 1, s) > 0);
	CHECK(request_key("user", "none", NULL, 0) > 0);
}

static void reqkey_keyring(void) {
	key s = own_session();
	CHECK(keyctl(KEYCTL_SET_REQKEY_KEYRING, KEY_REQKEY_DEFL_NO_CHANGE) == KEY_REQKEY_DEFL_DEFAULT);
	CHECK(keyctl(KEYCTL_SET_REQKEY_KEYRING, KEY_REQKEY_DEFL_THREAD_KEYRING) == KEY_REQKEY_DEFL_DEFAULT);
	key t = keyctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_THREAD_KEYRING, 0);
	CHECK(t > 0);
	FAILS(keyctl(KEYCTL_SET_REQKEY_KEYRING, KEY_REQKEY_DEFL_GROUP_KEYRING), EINVAL);
	FAILS(keyctl(KEYCTL_SET_REQKEY_KEYRING, 8), EINVAL);
	CHECK(request_key("user", "none", "info", 0) == -1);
	CHECK(keyctl(KEYCTL_READ, t, NULL, 0) == 4 && keyctl(KEYCTL_READ, s, NULL, 0) == 0);
	CHECK(keyctl(KEYCTL_SET_REQKEY_KEYRING, KEY_REQKEY_DEFL_SESSION_KEYRING) == KEY_REQKEY_DEFL_THREAD_KEYRING);
	CHECK(request_key("user", "none2", "info", 0) == -1);
	CHECK(keyctl(KEYCTL_READ, s, NULL, 0) == 4);
}

// Nobody asks this process for a key.
static void authority(void) {
	own_session();
	key k = user_key("k", SESSION);
	FAILS(keyctl(KEYCTL_INSTANTIATE, k, "x", 1, 0), EPERM);
	FAILS(keyctl(KEYCTL_INSTANTIATE_IOV, k, NULL, 0, 0), EPERM);
	FAILS(keyctl(KEYCTL_NEGATE, k, 1, 0), EPERM);
	FAILS(keyctl(KEYCTL_REJECT, k, 1, EKEYREJECTED, 0), EPERM);
	FAILS(keyctl(KEYCTL_REJECT, k, 1, 0, 0), EINVAL);
	CHECK(keyctl(KEYCTL_ASSUME_AUTHORITY, 0) == 0);
	FAILS(keyctl(KEYCTL_ASSUME_AUTHORITY, -1), EINVAL);
	FAILS(keyctl(KEYCTL_ASSUME_AUTHORITY, k), ENOKEY);
}

static void revoking(void) {
	key s = own_session(), k = user_key("k", SESSION), z = new_ring("z", SESSION);
	user_key("in", z);
	CHECK(keyctl(KEYCTL_REVOKE, k) == 0);
	FAILS(keyctl(KEYCTL_READ, k, NULL, 0), EKEYREVOKED);
	FAILS(keyctl(KEYCTL_DESCRIBE, k, NULL, 0), EKEYREVOKED);
	FAILS(keyctl(KEYCTL_SEARCH, SESSION, "user", "k", 0), EKEYREVOKED);
	FAILS(keyctl(KEYCTL_UPDATE, k, "x", 1), EKEYREVOKED);
	FAILS(keyctl(KEYCTL_SETPERM, k, 0x3f3f0000), EKEYREVOKED);
	FAILS(keyctl(KEYCTL_LINK, k, z), EKEYREVOKED);
	FAILS(keyctl(KEYCTL_REVOKE, k), EKEYREVOKED);
	CHECK(has(s, k));
	key n = user_key("k", SESSION);
	CHECK(n != k && has(s, n) && !has(s, k));
	CHECK(keyctl(KEYCTL_REVOKE, z) == 0);
	FAILS(add_key("user", "x", "x", 1, z), EKEYREVOKED);
	FAILS(keyctl(KEYCTL_SEARCH, SESSION, "user", "in", 0), ENOKEY);
	CHECK(keyctl(KEYCTL_UNLINK, z, SESSION) == 0);
	CHECK(keyctl(KEYCTL_INVALIDATE, n) == 0);
	FAILS(keyctl(KEYCTL_DESCRIBE, n, NULL, 0), ENOKEY);
	FAILS(keyctl(KEYCTL_INVALIDATE, n), ENOKEY);
}

static void expiring(void) {
	own_session();
	key k = user_key("k", SESSION);
	CHECK(keyctl(KEYCTL_SET_TIMEOUT, k, 1) == 0);
	int n = 0;
	while (describe(k) && n++ < 100)
		usleep(100000);
	CHECK(errno == EKEYEXPIRED);
	FAILS(keyctl(KEYCTL_READ, k, NULL, 0), EKEYEXPIRED);
	FAILS(keyctl(KEYCTL_UPDATE, k, "x", 1), EKEYEXPIRED);
	FAILS(keyctl(KEYCTL_SET_TIMEOUT, k, 0), EKEYEXPIRED);
	FAILS(keyctl(KEYCTL_SEARCH, SESSION, "user", "k", 0), EKEYEXPIRED);
	FAILS(request_key("user", "k", NULL, 0), ENOKEY);
	CHECK(user_key("k", SESSION) == k && describe(k)); // a new payload, and no end
	CHECK(keyctl(KEYCTL_SET_TIMEOUT, k, 1000) == 0 && keyctl(KEYCTL_SET_TIMEOUT, k, 0) == 0);
}

static void restricting(void) {
	own_session();
	key r = new_ring("r", SESSION), k = user_key("k", r), other = user_key("other", SESSION);
	FAILS(keyctl(KEYCTL_RESTRICT_KEYRING, r, "user", NULL), EINVAL);
	FAILS(keyctl(KEYCTL_RESTRICT_KEYRING, r, NULL, "x"), EINVAL);
	FAILS(keyctl(KEYCTL_RESTRICT_KEYRING, r, "user", "x"), ENOENT);
	FAILS(keyctl(KEYCTL_RESTRICT_KEYRING, r, "nosuchtype", "x"), ENOKEY);
	FAILS(keyctl(KEYCTL_RESTRICT_KEYRING, k, NULL, NULL), ENOTDIR);
	CHECK(keyctl(KEYCTL_RESTRICT_KEYRING, r, NULL, NULL) == 0);
	FAILS(keyctl(KEYCTL_RESTRICT_KEYRING, r, NULL, NULL), EEXIST);
	FAILS(keyctl(KEYCTL_LINK, other, r), EPERM);
	FAILS(add_key("user", "new", "x", 1, r), EPERM);
	FAILS(add_key("user", "k", "x", 1, r), EPERM);
	CHECK(keyctl(KEYCTL_UNLINK, k, r) == 0);
}

static void capabilities(void) {
	unsigned char b[5] = {9, 9, 9, 9, 9};
	CHECK(keyctl(KEYCTL_CAPABILITIES, NULL, 0) == 2);
	CHECK(keyctl(KEYCTL_CAPABILITIES, b, 4) == 2);
	const int built = KEYCTL_CAPS0_DIFFIE_HELLMAN | KEYCTL_CAPS0_PUBLIC_KEY | KEYCTL_CAPS0_BIG_KEY;
	CHECK((b[0] & ~built) == 0xe3 && (b[1] & 3) == 3 && b[2] == 0 && b[3] == 0 && b[4] == 9);
}

static void persistent(void) {
	own_session();
	key p = keyctl(KEYCTL_GET_PERSISTENT, -1, SESSION);
	DESCRIBED(p, "keyring;0;65534;1f030000;_persistent.0");
	CHECK(has(SESSION, p) && keyctl(KEYCTL_GET_PERSISTENT, 0, SESSION) == p);
	key k = user_key("k", SESSION);
	FAILS(keyctl(KEYCTL_GET_PERSISTENT, -1, k), ENOTDIR);
	FAILS(keyctl(KEYCTL_GET_PERSISTENT, -1, 0), EINVAL);
	uid_t u = stranger();
	p = keyctl(KEYCTL_GET_PERSISTENT, u, SESSION);
	CHECK(p > 0);
	become(u);
	own_session();
	CHECK(keyctl(KEYCTL_GET_PERSISTENT, u, SESSION) == p);
	FAILS(keyctl(KEYCTL_GET_PERSISTENT, 0, SESSION), EPERM);
}

int main(void) {
	if (absent("keyctl", keyctl(KEYCTL_ASSUME_AUTHORITY, 0)))
		return 0;
	APART(special_keyrings());
	APART(adding());
	APART(reading());
	APART(linking());
	APART(too_deep());
	APART(searching());
	APART(requesting());
	APART(reqkey_keyring());
	APART(authority());
	APART(revoking());
	APART(expiring());
	APART(restricting());
	APART(capabilities());
	APART(persistent());
	return 0;
}

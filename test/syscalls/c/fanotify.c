// covers: fanotify_init fanotify_mark
// fanotify_init(2), fanotify_mark(2): what may be asked for, and by whom.
#include "fanotify.h"

#define INIT(flags, events) syscall(SYS_fanotify_init, flags, events)
#define LARGE 0100000 // what Linux adds, and <fcntl.h> calls 0
#define FID FAN_REPORT_FID
#define DIRS FAN_REPORT_DIR_FID

static void init_errors(void) {
	FAILS(INIT(0x80000000, 0), EINVAL);
	FAILS(INIT(FAN_CLASS_CONTENT | FAN_CLASS_PRE_CONTENT, 0), EINVAL);
	FAILS(INIT(FAN_REPORT_TID | FAN_REPORT_PIDFD, 0), EINVAL);
	FAILS(INIT(0, 3), EINVAL);
	FAILS(INIT(0, O_CREAT), EINVAL);
	FAILS(INIT(FID | FAN_CLASS_CONTENT, 0), EINVAL);
	FAILS(INIT(FAN_REPORT_NAME, 0), EINVAL);
	FAILS(INIT(FAN_REPORT_NAME | FID, 0), EINVAL);
	FAILS(INIT(FAN_REPORT_TARGET_FID | FID | DIRS, 0), EINVAL);
	FAILS(INIT(FAN_REPORT_TARGET_FID | FAN_REPORT_NAME | DIRS, 0), EINVAL);
	int fd = group(FAN_CLOEXEC | FAN_NONBLOCK, O_RDONLY | O_LARGEFILE | O_NOATIME | O_SYNC | O_APPEND | O_NONBLOCK | O_CLOEXEC);
	CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC && (fcntl(fd, F_GETFL) & ~LARGE) == (O_RDWR | O_NONBLOCK));
	char b[64], path[64];
	sprintf(path, "/proc/self/fd/%d", fd);
	int n = readlink(path, b, sizeof b);
	CHECK(n == 21 && memcmp(b, "anon_inode:[fanotify]", n) == 0);
	FAILS(read(fd, b, sizeof b), EAGAIN);
	FAILS(write(fd, b, 4), EINVAL);
	close(fd);
	fd = group(0, 0);
	CHECK(fcntl(fd, F_GETFD) == 0 && (fcntl(fd, F_GETFL) & ~LARGE) == O_RDWR);
	close(fd);
}

static void mark_errors(void) {
	int fd = group(0, 0), content = group(FAN_CLASS_CONTENT, 0), fid = group(FID, 0), file = open("file", O_CREAT | O_RDWR, 0600);
	CHECK(mkdir("dir", 0755) == 0 && symlink("dir", "sym") == 0 && symlink("none", "loose") == 0);
	FAILS(watch(fd, FAN_MARK_ADD, 1ull << 40 | FAN_OPEN, "."), EINVAL);
	FAILS(watch(fd, FAN_MARK_ADD | 0x10000, FAN_OPEN, "."), EINVAL);
	FAILS(watch(fd, FAN_MARK_ADD, 0, "."), EINVAL);
	FAILS(watch(fd, FAN_MARK_ADD | FAN_MARK_REMOVE, FAN_OPEN, "."), EINVAL);
	FAILS(watch(fd, 0, FAN_OPEN, "."), EINVAL);
	FAILS(watch(fd, FAN_MARK_ADD | FAN_MARK_MOUNT | FAN_MARK_FILESYSTEM, FAN_OPEN, "."), EINVAL);
	FAILS(watch(fd, FAN_MARK_ADD, 0x80000000, "."), EINVAL);
	FAILS(watch(fd, FAN_MARK_ADD, FAN_Q_OVERFLOW, "."), EINVAL);
	FAILS(watch(fd, FAN_MARK_FLUSH | FAN_MARK_DONT_FOLLOW, 0, NULL), EINVAL);
	FAILS(watch(fd, FAN_MARK_ADD | FAN_MARK_IGNORE | FAN_MARK_IGNORED_MASK, FAN_OPEN, "."), EINVAL);
	FAILS(watch(999, FAN_MARK_ADD, FAN_OPEN, "."), EBADF);
	FAILS(watch(file, FAN_MARK_ADD, FAN_OPEN, "."), EINVAL);
	FAILS(watch(file, FAN_MARK_FLUSH, 0, NULL), EINVAL);
	// What a group can't tell.
	FAILS(watch(fd, FAN_MARK_ADD, FAN_OPEN_PERM, "."), EINVAL);
	FAILS(watch(fd, FAN_MARK_ADD, FAN_CREATE, "."), EINVAL);
	FAILS(watch(fd, FAN_MARK_ADD, FAN_ATTRIB, "."), EINVAL);
	FAILS(watch(fd, FAN_MARK_ADD, FAN_DELETE_SELF, "."), EINVAL);
	FAILS(watch(fid, FAN_MARK_ADD | FAN_MARK_MOUNT, FAN_CREATE, "."), EINVAL);
	FAILS(watch(fid, FAN_MARK_ADD, FAN_RENAME, "."), EINVAL);
	FAILS(watch(fid, FAN_MARK_ADD, FAN_FS_ERROR, "."), EINVAL);
	FAILS(watch(fd, FAN_MARK_ADD | FAN_MARK_EVICTABLE | FAN_MARK_MOUNT, FAN_OPEN, "."), EINVAL);
	FAILS(watch(content, FAN_MARK_ADD, FAN_OPEN_PERM, "/proc/self/stat"), EINVAL);
	int p[2];
	CHECK(pipe(p) == 0);
	FAILS(syscall(SYS_fanotify_mark, fd, FAN_MARK_ADD | FAN_MARK_MOUNT, FAN_OPEN, p[0], NULL), EINVAL);
	CHECK(syscall(SYS_fanotify_mark, fd, FAN_MARK_ADD, FAN_OPEN, p[0], NULL) == 0);
	// What is not there, or of another kind.
	FAILS(watch(fd, FAN_MARK_ADD, FAN_OPEN, "none"), ENOENT);
	FAILS(watch(fd, FAN_MARK_ADD, FAN_OPEN, "loose"), ENOENT);
	CHECK(watch(fd, FAN_MARK_ADD | FAN_MARK_DONT_FOLLOW, FAN_OPEN, "loose") == 0);
	FAILS(watch(fd, FAN_MARK_ADD | FAN_MARK_ONLYDIR, FAN_OPEN, "file"), ENOTDIR);
	CHECK(watch(fd, FAN_MARK_ADD | FAN_MARK_ONLYDIR, FAN_OPEN, "sym") == 0);
	FAILS(watch(fd, FAN_MARK_ADD | FAN_MARK_ONLYDIR | FAN_MARK_DONT_FOLLOW, FAN_OPEN, "sym"), ENOTDIR);
	FAILS(watch(fd, FAN_MARK_ADD, FAN_OPEN, ""), ENOENT);
	FAILS(watch(fd, FAN_MARK_ADD, FAN_OPEN, (void *)8), EFAULT);
	FAILS(watch(fd, FAN_MARK_ADD, FAN_OPEN, NULL), EBADF);
	FAILS(syscall(SYS_fanotify_mark, fd, FAN_MARK_ADD, FAN_OPEN, 999, "file"), EBADF);
	FAILS(syscall(SYS_fanotify_mark, fd, FAN_MARK_ADD | FAN_MARK_ONLYDIR, FAN_OPEN, file, NULL), ENOTDIR);
	int d = open("dir", O_PATH);
	CHECK(syscall(SYS_fanotify_mark, fd, FAN_MARK_ADD, FAN_OPEN, d, "../file") == 0);
	FAILS(syscall(SYS_fanotify_mark, fd, FAN_MARK_ADD, FAN_OPEN, d, NULL), EBADF);
	FAILS(watch(fd, FAN_MARK_REMOVE, FAN_OPEN, "."), ENOENT);
	FAILS(watch(fd, FAN_MARK_REMOVE | FAN_MARK_MOUNT, FAN_OPEN, "."), ENOENT);
	FAILS(watch(fd, FAN_MARK_REMOVE | FAN_MARK_FILESYSTEM, FAN_OPEN, "."), ENOENT);
}

// What one call has marked another can't make less of.
static void mark_again(void) {
	const unsigned ignore = FAN_MARK_ADD | FAN_MARK_IGNORE, survive = FAN_MARK_IGNORED_SURV_MODIFY;
	int fd = group(0, 0), fid = group(FID | DIRS | FAN_REPORT_NAME | FAN_REPORT_TARGET_FID, 0);
	put("f"), put("g"), dir("d");
	CHECK(watch(fd, ignore | survive, FAN_OPEN, "f") == 0);
	FAILS(watch(fd, FAN_MARK_ADD | FAN_MARK_IGNORED_MASK, FAN_OPEN, "f"), EEXIST);
	FAILS(watch(fd, ignore, FAN_CLOSE_WRITE, "f"), EEXIST);
	CHECK(watch(fd, FAN_MARK_ADD | FAN_MARK_EVICTABLE, FAN_OPEN, "g") == 0);
	CHECK(watch(fd, FAN_MARK_ADD | FAN_MARK_EVICTABLE, FAN_MODIFY, "g") == 0);
	CHECK(watch(fd, FAN_MARK_ADD, FAN_OPEN, "g") == 0);
	FAILS(watch(fd, FAN_MARK_ADD | FAN_MARK_EVICTABLE, FAN_ACCESS, "g"), EEXIST);
	FAILS(watch(fd, ignore, FAN_OPEN, "d"), EISDIR);
	FAILS(watch(fd, ignore | FAN_MARK_MOUNT, FAN_OPEN, "d"), EINVAL);
	CHECK(watch(fd, ignore | survive, FAN_OPEN, "d") == 0);
	CHECK(watch(fd, FAN_MARK_ADD | FAN_MARK_IGNORED_MASK | FAN_MARK_MOUNT, FAN_OPEN, ".") == 0);
	// Entries are of directories.
	CHECK(watch(fd, FAN_MARK_ADD, FAN_OPEN | FAN_ONDIR | FAN_EVENT_ON_CHILD, "f") == 0);
	FAILS(watch(fd, ignore | survive, FAN_OPEN | FAN_ONDIR, "f"), ENOTDIR);
	FAILS(watch(fid, FAN_MARK_ADD, FAN_CREATE, "f"), ENOTDIR);
	FAILS(watch(fid, FAN_MARK_ADD, FAN_OPEN | FAN_EVENT_ON_CHILD, "f"), ENOTDIR);
	CHECK(watch(fid, FAN_MARK_ADD, FAN_CREATE | FAN_RENAME, "d") == 0);
	// A mark goes with what it is for; qualifiers alone keep it.
	FAILS(watch(fd, FAN_MARK_REMOVE, FAN_OPEN, "."), ENOENT);
	CHECK(watch(fd, FAN_MARK_ADD, FAN_OPEN | FAN_ONDIR, ".") == 0);
	CHECK(watch(fd, FAN_MARK_REMOVE, FAN_OPEN, ".") == 0);
	CHECK(watch(fd, FAN_MARK_REMOVE, FAN_ONDIR, ".") == 0);
	FAILS(watch(fd, FAN_MARK_REMOVE, FAN_ONDIR, "."), ENOENT);
	// Flushing is of one kind.
	CHECK(watch(fd, FAN_MARK_FLUSH | FAN_MARK_MOUNT, 0, NULL) == 0);
	FAILS(watch(fd, FAN_MARK_REMOVE | FAN_MARK_MOUNT | FAN_MARK_IGNORED_MASK, FAN_OPEN, "."), ENOENT);
	CHECK(watch(fd, FAN_MARK_REMOVE, FAN_OPEN, "g") == 0);
	CHECK(watch(fd, FAN_MARK_FLUSH, 0, "whatever") == 0);
	FAILS(watch(fd, FAN_MARK_REMOVE, FAN_OPEN, "f"), ENOENT);
}

// Whole mounts and filesystems are told of by handles only if those can be opened.
static void handles_of_all(void) {
	struct { struct file_handle h; char room[128]; } b = { { 128 } };
	int fd = group(FID, 0), id;
	int can = syscall(SYS_name_to_handle_at, AT_FDCWD, ".", &b, &id, 0) == 0;
	errno = 0;
	long r = watch(fd, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, FAN_OPEN, ".");
	CHECK(can ? r == 0 : r == -1 && errno == EOPNOTSUPP);
	r = watch(fd, FAN_MARK_ADD | FAN_MARK_MOUNT, FAN_OPEN, ".");
	CHECK(can ? r == 0 : r == -1 && errno == EOPNOTSUPP);
}

static void unprivileged_rules(void) {
	FAILS(INIT(0, 0), EPERM);
	FAILS(INIT(FID | FAN_REPORT_TID, 0), EPERM);
	FAILS(INIT(FID | FAN_REPORT_PIDFD, 0), EPERM);
	FAILS(INIT(FID | FAN_UNLIMITED_QUEUE, 0), EPERM);
	FAILS(INIT(FID | FAN_UNLIMITED_MARKS, 0), EPERM);
	FAILS(INIT(FAN_CLASS_CONTENT, 0), EPERM);
	FAILS(INIT(FID | 0x80000000, 0), EINVAL);
	int fd = group(FID | DIRS | FAN_REPORT_NAME | FAN_NONBLOCK, 0);
	FAILS(watch(fd, FAN_MARK_ADD | FAN_MARK_MOUNT, FAN_OPEN, "."), EPERM);
	FAILS(watch(fd, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, FAN_OPEN, "."), EPERM);
	FAILS(watch(fd, FAN_MARK_FLUSH | FAN_MARK_MOUNT, 0, NULL), EPERM);
	FAILS(watch(fd, FAN_MARK_ADD, FAN_OPEN, "secret"), EACCES);
	CHECK(watch(fd, FAN_MARK_ADD, FAN_OPEN, "public") == 0);
	// Who else does something stays unknown.
	names('p', "public"), names('d', ".");
	pid_t c = fork();
	if (c == 0)
		_exit(close(open("public", O_RDONLY)));
	CHECK(ended_well(c));
	GOT(fd, "o(pid 0) name:dpublic fid:p");
	close(open("public", O_RDONLY));
	GOT(fd, "o name:dpublic fid:p");
}

static void unprivileged_group(void) {
	int fd = open("secret", O_CREAT | O_RDWR, 0600), p = open("public", O_CREAT | O_RDWR, 0644);
	close(fd), close(p);
	unprivileged(unprivileged_rules);
}

static void limits(void) {
	char b[64];
	int fd = open("/proc/sys/fs/fanotify/max_queued_events", O_RDONLY);
	CHECK(fd >= 0 && read(fd, b, sizeof b) > 0 && atoi(b) >= 1024);
	fd = open("/proc/sys/fs/fanotify/max_user_groups", O_RDONLY);
	CHECK(fd >= 0 && read(fd, b, sizeof b) > 0 && atoi(b) >= 100);
	int most = atoi(b), n = 0;
	fd = open("/proc/sys/fs/fanotify/max_user_marks", O_RDONLY);
	CHECK(fd >= 0 && read(fd, b, sizeof b) > 0 && atoi(b) >= 1024);
	CHECK(setresuid(54321, 54321, 54321) == 0);
	while (n <= most && INIT(FID, 0) >= 0)
		n++;
	CHECK(n == most && errno == EMFILE);
}

static void info(void) {
	char b[4096] = "", want[4096], path[64];
	int fd = group(FAN_NONBLOCK, O_RDONLY | O_LARGEFILE), at;
	struct stat st;
	CHECK(watch(fd, FAN_MARK_ADD, FAN_OPEN | FAN_ONDIR, ".") == 0 && stat(".", &st) == 0);
	CHECK(watch(fd, FAN_MARK_ADD | FAN_MARK_IGNORE | FAN_MARK_IGNORED_SURV_MODIFY, FAN_CLOSE_WRITE, ".") == 0);
	sprintf(path, "/proc/self/fdinfo/%d", fd);
	int f = open(path, O_RDONLY);
	CHECK(f >= 0 && read(f, b, sizeof b - 1) > 0);
	CHECK(strstr(b, "fanotify flags:2 event-flags:8000\n") != NULL);
	at = sprintf(want, "fanotify ino:%lx sdev:", st.st_ino);
	CHECK(at > 0 && strstr(b, want) != NULL && strstr(b, " mflags:440 mask:40000020 ignored_mask:8 fhandle-bytes:") != NULL);
	CHECK(watch(fd, FAN_MARK_FLUSH, 0, NULL) == 0 && watch(fd, FAN_MARK_ADD | FAN_MARK_MOUNT, FAN_OPEN, ".") == 0);
	CHECK(watch(fd, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, FAN_MODIFY, ".") == 0);
	memset(b, 0, sizeof b);
	close(f);
	CHECK((f = open(path, O_RDONLY)) >= 0 && read(f, b, sizeof b - 1) > 0);
	sprintf(want, "fanotify mnt_id:%x mflags:0 mask:20 ignored_mask:0\n", atoi(field(".", 'i')));
	CHECK(strstr(b, want) != NULL && strstr(b, "fanotify sdev:") != NULL && strstr(b, " mflags:0 mask:2 ignored_mask:0\n") != NULL);
}

static void all(void) {
	APART(init_errors());
	APART(mark_errors());
	APART(mark_again());
	APART(handles_of_all());
	APART(unprivileged_group());
	APART(limits());
	APART(info());
}

int main(void) {
	CHECK(apart(all) == 0);
	return 0;
}

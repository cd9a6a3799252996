// covers: fanotify_init
// fanotify(7) when there are more events than a group may have waiting: too many for a
// kernel that checks its locks (make lockcheck).
#include "fanotify.h"

static void overflow(void) {
	char name[32], *g;
	FILE *f = fopen("/proc/sys/fs/fanotify/max_queued_events", "r");
	int most, fd;
	CHECK(fscanf(f, "%d", &most) == 1);
	fd = group(FAN_NONBLOCK, O_RDONLY);
	int n = most + 5, all = group(FAN_NONBLOCK | FAN_UNLIMITED_QUEUE, O_RDONLY);
	for (int i = 0; i < n; i++)
		sprintf(name, "f%d", i), put(name);
	CHECK(watch(fd, FAN_MARK_ADD, FAN_OPEN | FAN_EVENT_ON_CHILD, ".") == 0);
	CHECK(watch(all, FAN_MARK_ADD, FAN_OPEN | FAN_EVENT_ON_CHILD, ".") == 0);
	for (int i = 0; i < n; i++)
		sprintf(name, "f%d", i), see(name);
	int seen = 0, bytes = 0;
	CHECK(ioctl(fd, FIONREAD, &bytes) == 0 && bytes == (most + 1) * 24);
	CHECK(ioctl(all, FIONREAD, &bytes) == 0 && bytes == n * 24);
	struct fanotify_event_metadata m;
	while (read(fd, &m, sizeof m) == sizeof m && m.fd >= 0)
		seen++, close(m.fd);
	CHECK(seen == most && m.mask == FAN_Q_OVERFLOW && m.fd == FAN_NOFD && m.pid == 0);
	see("f0");
	g = got(fd);
	CHECK(strcmp(g, "o:?") == 0);
}

static void all(void) {
	APART(fresh(overflow));
}

int main(int n, char **args) {
	if (n > 1)
		return 0;
	CHECK(apart(all) == 0);
	return 0;
}

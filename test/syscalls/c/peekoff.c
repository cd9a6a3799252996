// Peeking behind what is there (SO_PEEK_OFF) waits for more, and can be
// interrupted and killed; an error queue that unix sockets don't have.
// covers: recvfrom setsockopt
#include "check.h"
#include <sys/socket.h>
#include <time.h>

static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};

static void beyond(int type) {
	int s[2], st, off = 5;
	CHECK(socketpair(AF_UNIX, type, 0, s) == 0);
	CHECK(send(s[0], "abc", 3, 0) == 3);
	CHECK(setsockopt(s[1], SOL_SOCKET, SO_PEEK_OFF, &off, sizeof off) == 0);
	char b[16];
	errno = 0;
	CHECK(recv(s[1], b, sizeof b, MSG_PEEK | MSG_DONTWAIT) == -1 && errno == EAGAIN);
	// One child waits for ever; the other until there is more.
	pid_t waits = fork();
	if (waits == 0) {
		recv(s[1], b, sizeof b, MSG_PEEK);
		_exit(1);
	}
	struct timespec t = {0, 50000000};
	nanosleep(&t, NULL);
	CHECK(kill(waits, SIGKILL) == 0);
	CHECK(waitpid(waits, &st, 0) == waits && WIFSIGNALED(st) && WTERMSIG(st) == SIGKILL);
	pid_t gets = fork();
	if (gets == 0) {
		ssize_t n = recv(s[1], b, sizeof b, MSG_PEEK);
		// Of a stream, what follows the offset; of messages, all of the one behind it.
		_exit(n > 0 ? n : 100);
	}
	nanosleep(&t, NULL);
	CHECK(send(s[0], "defgh", 5, 0) == 5);
	CHECK(waitpid(gets, &st, 0) == gets && WIFEXITED(st));
	CHECK(WEXITSTATUS(st) == 3);
	close(s[0]);
	CHECK(waitpid(-1, &st, 0) == -1 && errno == ECHILD);
	close(s[1]);
}

static void noErrors(int type) {
	int s[2];
	char b[16];
	CHECK(socketpair(AF_UNIX, type, 0, s) == 0);
	CHECK(send(s[0], "abc", 3, 0) == 3);
	CHECK(recv(s[1], b, sizeof b, MSG_ERRQUEUE | MSG_PEEK) == 3);
	CHECK(recv(s[1], b, sizeof b, MSG_ERRQUEUE | MSG_DONTWAIT) == 3);
	CHECK(recv(s[1], b, sizeof b, MSG_ERRQUEUE | MSG_DONTWAIT) == -1 && errno == EAGAIN);
	close(s[0]), close(s[1]);
}

int main(void) {
	for (int i = 0; i < 3; i++) {
		noErrors(types[i]);
		beyond(types[i]);
	}
	return 0;
}

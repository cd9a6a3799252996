package syscalls

import "garrison/sentry/kernel"

// exit implements exit(2). The task ends when the call is over.
func exit(t *kernel.Task, code int32) (int, error) {
	t.Exit(code)
	return 0, nil
}

// exitGroup implements exit_group(2).
func exitGroup(t *kernel.Task, code int32) (int, error) {
	t.ExitGroup(code)
	return 0, nil
}

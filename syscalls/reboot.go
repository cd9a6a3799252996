package syscalls

import (
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
)

// reboot implements reboot(2), of a pid namespace: there is no machine to reboot.
func reboot(t *kernel.Task, magic, again, cmd uint32, _ address) (int, error) {
	if !t.MayReboot() {
		return 0, linux.EPERM
	}
	if magic != linux.LINUX_REBOOT_MAGIC1 {
		return 0, linux.EINVAL
	}
	switch again {
	case linux.LINUX_REBOOT_MAGIC2, linux.LINUX_REBOOT_MAGIC2A, linux.LINUX_REBOOT_MAGIC2B, linux.LINUX_REBOOT_MAGIC2C:
	default:
		return 0, linux.EINVAL
	}
	switch cmd {
	case linux.LINUX_REBOOT_CMD_RESTART, linux.LINUX_REBOOT_CMD_RESTART2:
		t.Reboot(linux.SIGHUP)
	case linux.LINUX_REBOOT_CMD_HALT, linux.LINUX_REBOOT_CMD_POWER_OFF:
		t.Reboot(linux.SIGINT)
	default:
		return 0, linux.EINVAL
	}
	return 0, nil
}

package linux

// Flags of setxattr(2).
const (
	XATTR_CREATE  = 1
	XATTR_REPLACE = 2
)

// Limits on extended attributes, <linux/limits.h>.
const (
	XATTR_NAME_MAX = 255
	XATTR_SIZE_MAX = 65536
	XATTR_LIST_MAX = 65536
)

// Namespaces of extended attributes, xattr(7).
const (
	XATTR_USER_PREFIX     = "user."
	XATTR_TRUSTED_PREFIX  = "trusted."
	XATTR_SECURITY_PREFIX = "security."
	XATTR_SYSTEM_PREFIX   = "system."

	XATTR_CAPS              = "security.capability"
	XATTR_POSIX_ACL_ACCESS  = "system.posix_acl_access"
	XATTR_POSIX_ACL_DEFAULT = "system.posix_acl_default"
)

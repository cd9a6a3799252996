package linux

// Tags of the entries of an access control list, <linux/posix_acl.h>; acl(5).
const (
	ACL_USER_OBJ  = 0x01
	ACL_USER      = 0x02
	ACL_GROUP_OBJ = 0x04
	ACL_GROUP     = 0x08
	ACL_MASK      = 0x10
	ACL_OTHER     = 0x20
)

// POSIX_ACL_XATTR_VERSION begins such a list in an extended attribute, as a u32; then
// come entries of a u16 tag, u16 permissions and u32 id, which is ACL_UNDEFINED_ID
// where the tag needs none: <linux/posix_acl_xattr.h>.
const (
	POSIX_ACL_XATTR_VERSION = 2
	ACL_UNDEFINED_ID        = ^uint32(0)
)

# capabilities: SYS_ADMIN
# loop
# util-linux's losetup, mount, umount, lsblk and blkid with an image in a loop device.
exec 2>&1 # in one order
[ -e /dev/loop-control ] && losetup -f >/dev/null || { echo "absent loop devices"; exit; }
grep -q erofs /proc/filesystems || { echo "absent EROFS"; exit; }
mkdir /work && cd /work || exit
base64 -d <<B | gzip -d >image
H4sIAAAAAAACA+3csUrDUBTG8ZOkrRCcurhGrCgqt0s3JzdFEAep0KFgpZBgTMFaiJu+RjfBx/AJfAdB3cXJud60N+klgw4OIv3/SumX3hzOzYWsRwTA
onp7/Xz5eO52PJ2XpSG1fOFpvJvHmnV/vdVO663Zp52OH3/bv6K/73uedMz1RLPXG+Z3X9wiH+i8afKhOLJl8rEsyY7JJ/p/ZfKpvl8pFfbjeBBHycXV
KBmOevP+D3dO8YxZf8fqPy3yv9//5N6RqlXvlut/en7df8Wq96z1tdVmL0qaw9Dvn4eDILoOst37pfNzZduqr1j1qjjH+fmt63xrNrmRnZNSl2fJDS8D
AADAAkgBAAAAAAAAAAAAAAAAAAAAAAAAAAAAAMCfy+dfBUezeQDZ7Ksq8wEAAAAAACVM0PvfvgDsTRmXAGAAAA==
B
# What a device is called depends on what else there is on the machine.
named() { sed "s|loop${dev#/dev/loop}\b|LOOP|g; s|\b7:${dev#/dev/loop}\b|7:N|g"; }
ends() { "$@"; echo "$1 $?"; }
mounted() { findmnt -n -r -o TARGET,FSTYPE,SOURCE,VFS-OPTIONS "$@" | named; }

echo "== losetup"
dev=$(losetup -f --show image); echo $?
losetup -n -l -O NAME,SIZELIMIT,OFFSET,AUTOCLEAR,RO,BACK-FILE,DIO,LOG-SEC,MAJ:MIN "$dev" | named | tr -s ' '
losetup -a | grep "^$dev:" | sed 's/\[.*\]:[0-9]*/[]/' | named
losetup -j /work/image | sed 's/\[.*\]:[0-9]*/[]/' | named
blockdev --getsize64 --getss --getpbsz --getbsz --getro --getalignoff "$dev"
cmp -n 16384 "$dev" image && echo the same
lsblk -n -r -o NAME,MAJ:MIN,RM,SIZE,RO,TYPE,MOUNTPOINT "$dev" | named
blkid -p -o export "$dev" | named
grep -c "loop${dev#/dev/loop}$" /proc/partitions
cat "/sys/block/${dev#/dev/}/size" "/sys/block/${dev#/dev/}/loop/backing_file"

echo "== mount"
mkdir m n
ends mount "$dev" m | named; mounted m
ls -lAR --time-style=+%s m; cat m/link; m/run; md5sum <m/sub/many
ends mount -o ro "$dev" n | named; mounted n; umount n
lsblk -n -r -o NAME,MOUNTPOINT,FSTYPE "$dev" | named
ends sh -c 'echo >m/new'
ends losetup -d "$dev"; losetup -j /work/image | sed 's/.*(/(/'; cat m/hello
ends umount m; losetup -j /work/image

echo "== mount -o loop"
ends mount -o loop image m
dev=$(findmnt -n -o SOURCE m); mounted m
losetup -n -l -O AUTOCLEAR,RO,BACK-FILE "$dev" | tr -s ' '; ls m
ends umount m; losetup -j /work/image
(head -c 8192 /dev/zero; cat image) >moved
ends mount -o loop,offset=8192,sizelimit=16384 moved m; dev=$(findmnt -n -o SOURCE m); cat m/hello
losetup -n -l -O OFFSET,SIZELIMIT "$dev" | tr -s ' '
ends umount m

echo "== what is written"
truncate -s 1M disk
dev=$(losetup -f --show -o 4096 --sizelimit 500000 disk)
blockdev --getsize64 "$dev"
printf written | dd of="$dev" bs=7 seek=3 conv=notrunc,fsync status=none
od -A d -c -j 4096 -N 32 disk; dd if="$dev" bs=7 skip=3 count=1 status=none; echo
dd if=/dev/zero of="$dev" bs=64k 2>&1 | named | sed 's/,.*s,.*//'
truncate -s 2M disk; losetup --sizelimit 0 -o 0 "$dev" 2>/dev/null; losetup -c "$dev"; losetup -d "$dev"
dev=$(losetup -r -f --show disk); blockdev --getsize64 --getro "$dev"
ends dd if=image of="$dev" status=none 2>&1 | named
ends mount "$dev" m 2>&1 | named | head -n 1 | cut -c 1-60
losetup -d "$dev"; losetup -j /work/disk
ends losetup -d "$dev" 2>&1 | named
dev=$(losetup -f --show -b 4096 disk); blockdev --getss "$dev"; losetup -d "$dev"
ends mount -o loop /dev/null m; ends mount -t erofs /work m; ends mount -t erofs /dev/null m

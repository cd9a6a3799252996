# capabilities: SYS_ADMIN SYS_CHROOT
# util-linux's mount, umount and findmnt, and what they make of /proc/self/mountinfo.
exec 2>&1 # in one order
cd /mnt || exit
show() { findmnt -n -r -o TARGET,FSTYPE,SOURCE,VFS-OPTIONS,PROPAGATION "$@" 2>&1; echo "findmnt $?"; }
tree() { findmnt -n -R -o TARGET,FSTYPE,PROPAGATION "$1" 2>&1; }
umask 022
unshare -m --propagation private true; echo "unshare $?"
mkdir a b c d
mount -t tmpfs -o size=1m,mode=750,nosuid one a; echo "mount $?"; show /mnt/a
stat -c '%a %F' a; stat -f -c '%T %S %b' a
mount --make-rshared /mnt/a; show /mnt/a
mkdir a/x a/y; mount --bind a b; show /mnt/b
mount --make-slave b; show /mnt/b
mount -t tmpfs two a/x -o ro; tree /mnt/a; tree /mnt/b
touch a/x/f; touch b/x/f
mount -o remount,rw a/x && touch a/x/f && ls b/x
mount -o remount,bind,ro,noexec b/x; show /mnt/b/x; show /mnt/a/x
mount --rbind a c; tree /mnt/c
mount --make-runbindable c; mount --bind c d; echo "bind of unbindable $?"
umount c; echo "umount of busy $?"
umount -R c; echo "umount -R $?"; tree /mnt/c
mount --make-rprivate a; mount --move a d; tree /mnt/d
umount -l d; echo "umount -l $?"; tree /mnt/b
umount -R b; umount b; echo "umount of nothing $?"
mountpoint -q /proc; echo $?; mountpoint /mnt/a; echo $?
mount -t tmpfs -o noatime,nodiratime,sync x a; show /mnt/a; grep ' /mnt/a ' /proc/self/mounts | sed s/,inode64// # which some Linuxes show
mount -t bogus x b; echo "unknown type $?"
mount -t tmpfs -o nonsense x b; echo "bad option $?"
mount --bind /etc/passwd /etc/group && cmp /etc/passwd /etc/group && umount /etc/group; echo "file $?"
mkdir -p new/old new/proc new/bin; mount -t tmpfs new new; mkdir -p new/old new/usr new/proc
mount --rbind /usr new/usr; ln -s usr/bin usr/lib usr/lib64 new/
unshare -m sh -c 'cd new && pivot_root . old && cd / && mount -t proc proc /proc && umount -l /old && ls -d /* && findmnt -n -r -o TARGET,FSTYPE | head -n 1'
ls /mnt/new | head -n 3
umount -R new; findmnt -n -r -o TARGET | grep -c '^/mnt/new'

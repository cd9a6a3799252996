# root: servers
# capabilities: SYS_ADMIN
# fuse
# Filesystems that programs serve: bindfs (all operations) and squashfuse (an image), mounted by
# root and by others with fusermount3; and who is told of what happens there, by fanotify(7).
exec 2>&1
set -u
grep -q fuse /proc/filesystems || { echo "absent FUSE"; exit; }
mkdir /work && cd /work || exit
ln -sf /proc/self/mounts /etc/mtab # as where Debian boots
ends() { "$@"; echo "$1 $?"; }
shown() { grep " $PWD/$1 " /proc/self/mounts; }
gone() { for i in $(seq 100); do mountpoint -q "$1" || break; sleep 0.05; done; mountpoint -q "$1" && echo "$1 stays"; }

echo "== bindfs"
mkdir -p src/sub/deep mnt; echo one >src/one; ln -s one src/link; ln src/one src/hard; mkfifo src/fifo
ends bindfs src mnt; shown mnt
ls -lA --time-style=+ mnt | awk '{print $1, $2, $3, $4, $NF}'
cat mnt/one mnt/link; echo two >>mnt/one; cat src/hard
stat -c '%F %h %s %a' mnt/one mnt/sub mnt/fifo; stat -f -c '%T' mnt
mkdir mnt/new; echo x >mnt/new/x; mv mnt/new/x mnt/sub/deep/y; rmdir mnt/new; find src mnt | sort
chmod 640 mnt/one; touch -d @1000000000 mnt/one; stat -c '%a %Y' src/one
truncate -s 100000 mnt/large; stat -c %s src/large; printf abc | dd of=mnt/large bs=1 seek=50000 conv=notrunc status=none
cmp src/large mnt/large && echo same; od -A d -c mnt/large | head -n 4
ends ln mnt/one mnt/other; stat -c %h src/one; ends rm mnt/other mnt/hard
ends cat mnt/nothing; ends rmdir mnt/sub; ends mkdir mnt/sub; ends ln -s x mnt/link
seq 200000 >mnt/numbers; md5sum <src/numbers; sort -n mnt/numbers | tail -n 1; grep -c 7 mnt/numbers
cp -a /usr/share/perl5 mnt/tree; diff -r /usr/share/perl5 src/tree && echo "copied"; tar cf - -C mnt tree | tar tf - | wc -l | grep -q '^[1-9]' && echo packed
rm -r mnt/tree; ls src
python3 - <<'P'
import fcntl, mmap, os
with open('mnt/numbers', 'r+b') as f:
    m = mmap.mmap(f.fileno(), 4096, prot=mmap.PROT_READ, flags=mmap.MAP_PRIVATE)
    print(m[:6])
    fcntl.lockf(f, fcntl.LOCK_EX)
    f.seek(0, 2); print(f.tell(), os.fstat(f.fileno()).st_size)
print(sorted(os.listdir('mnt/sub')), os.statvfs('mnt').f_namemax)
P
for i in 1 2 3 4; do (for j in $(seq 50); do echo $i $j >mnt/p$i.$j; done) & done; wait; ls src | grep -c '^p'
(cd mnt; ends umount /work/mnt)
ends umount mnt; gone mnt; ls mnt

echo "== options"
ends bindfs -o ro src mnt; ends touch mnt/no; umount mnt; gone mnt
ends bindfs -u nobody -p 0444,a+X src mnt; stat -c '%U %a' mnt/one mnt/sub; umount mnt; gone mnt

echo "== the server goes"
bindfs -f src mnt & p=$!
until mountpoint -q mnt; do sleep 0.05; done
{ kill -9 $p; wait $p; } 2>/dev/null
ends ls mnt; ends umount mnt; mountpoint -q mnt || echo unmounted

echo "== an image"
mksquashfs src image -quiet -no-progress >/dev/null; echo $?
ends squashfuse image mnt; shown mnt; diff -r --exclude=fifo src mnt && echo "the same"
(cd mnt && md5sum numbers large); stat -c '%F %s %h' mnt/link mnt/one
ends sh -c 'echo >mnt/no'; fusermount3 -u mnt; echo $?; gone mnt

echo "== somebody else"
install -d -o nobody home; cp -r src/sub image home; chown -R nobody home
as() { setpriv --reuid nobody --regid nogroup --clear-groups -- "$@"; }
cd home; as mkdir m
ends as squashfuse image m; as ls m | head -n 3; ends ls m
as fusermount3 -u m; echo $?; gone m
ends as squashfuse -o allow_other image m
as fusermount3 -u m; echo $?
ends as bindfs --no-allow-other sub m; as sh -c 'echo mine >m/mine; cat m/mine; stat -c %U m/mine'; as fusermount3 -u m; gone m; cat sub/mine
as fusermount3 -u /proc; echo $?
cd ..

echo "== fanotify"
mkdir watched
inotifywait --fanotify -m -q -e create -e close_write -e delete --format '%e %f' watched >told & p=$!
for i in $(seq 100); do touch watched/ready; [ -s told ] && break; sleep 0.05; done
echo hello >watched/a; rm watched/a
until grep -q 'DELETE.*a$' told; do sleep 0.05; done; { kill $p; wait $p; } 2>/dev/null
grep -v ready told

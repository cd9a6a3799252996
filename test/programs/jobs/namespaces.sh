# Namespaces by hand and by bubblewrap, as root and as somebody else.
cd /tmp || exit
user() { setpriv --reuid 1000 --regid 1000 --clear-groups "$@"; }

echo == unshare
user unshare -Urm sh -c 'id; mount -t tmpfs none /mnt && touch /mnt/x && stat -c "%u %g" /mnt/x; umount /mnt; cat /proc/self/uid_map /proc/self/setgroups; grep ^Cap /proc/self/status; stat -c %u /etc'
user unshare -Urpf --mount-proc sh -c 'echo $$; ls -d /proc/[0-9]*' 2>&1
user unshare -Urpf sh -c 'echo $$; mount -t proc proc /proc' 2>&1
user unshare -Ur sh -c 'hostname x; mount -t tmpfs none /mnt; chroot / id -u; chown 1 /tmp; mknod /tmp/n c 1 3' 2>&1
user unshare -Uru sh -c 'hostname inner; hostname'
user unshare -U sh -c 'id -u; su root -c id' 2>&1
mkfifo ready go
unshare -U sh -c 'echo >ready; read x <go; id -u' & p=$!
read x <ready
echo 0 1000 10 >/proc/$p/uid_map; echo 0 1000 10 >/proc/$p/gid_map; echo 5 5 5 2>&1 >/proc/$p/uid_map
cat /proc/$p/uid_map
nsenter -U -t $p sh -c 'id; touch mine; stat -c %u mine; su -s /bin/sh daemon -c id; setpriv --reuid 9 --clear-groups id; setpriv --reuid 99 true' 2>&1
stat -c %u mine
echo >go; wait $p
unshare -Um sh -c 'umount /proc; mount -o remount,bind,rw /proc' 2>&1
unshare -UrT --monotonic 100000 sh -c 'cat /proc/self/timens_offsets; awk "{print (\$1 > 1)}" /proc/uptime' 2>&1
unshare -UrC sh -c 'readlink /proc/self/ns/cgroup | sed s/[0-9].*//' 2>&1
readlink /proc/self/ns/user /proc/self/ns/time /proc/self/ns/cgroup | sed 's/\[.*//'

echo == bwrap
box() { bwrap --ro-bind /usr /usr --symlink usr/bin /bin --symlink usr/lib /lib --symlink usr/lib64 /lib64 --dev /dev --tmpfs /tmp --die-with-parent "$@"; }
user env -i PATH=/usr/bin:/bin bwrap --bind / / --unshare-user --uid 7 --gid 8 sh -c 'id; cat /proc/self/uid_map; stat -c %u /etc' 2>&1
export -f box
user bash -c 'box --unshare-all sh -c "id -u; ls /; echo x >/dev/null; echo y >/tmp/y; cat /tmp/y; touch /usr/x; ls /dev; grep -c . /etc/passwd; hostname boxed"' 2>&1
user bash -c 'box --unshare-all --hostname boxed --cap-drop ALL sh -c "uname -n; grep ^CapEff /dev/null; chroot / true"' 2>&1
user bash -c 'box --unshare-pid --proc /proc sh -c "echo \$\$"' 2>&1

echo == set-id and file capabilities
mkdir /srv/x && cd /srv/x || exit # /tmp is nosuid
cp /usr/bin/id sid && chmod 4755 sid
user ./sid
user unshare -Ur ./sid
cp /usr/bin/cat kat && echo secret >secret && chmod 600 secret
user ./kat secret 2>&1
setcap cap_dac_override=ep kat; getcap kat
user ./kat secret
user unshare -Ur ./kat secret 2>&1
cp /usr/bin/cat kat2 && chown 1000:1000 kat2
user unshare -Ur setcap cap_kill=ep ./kat2 2>&1; getcap -n kat2
user unshare -Ur getcap -n ./kat2
user ./kat2 /proc/self/status | grep ^CapEff

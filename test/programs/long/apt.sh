# root: servers
# dpkg and apt: packages built here, installed, upgraded, configured, removed and purged, alone and from a repository.
set -u
export DEBIAN_FRONTEND=noninteractive
cd "$(mktemp -d -p /root)"
mkdeb() { # NAME VERSION FIELDS...: makes a package with files of every kind, and scripts that tell what they are asked
	local d=build/$1-$2 name=$1 version=$2 script
	shift 2
	mkdir -p $d/DEBIAN $d/usr/bin $d/etc/$name $d/usr/share/$name/dir $d/var/lib/$name
	printf '#!/bin/sh\necho %s %s\n' $name $version >$d/usr/bin/$name; chmod 755 $d/usr/bin/$name
	cp $d/usr/bin/$name $d/usr/bin/$name-priv; chmod 4755 $d/usr/bin/$name-priv; chown root:games $d/usr/bin/$name-priv
	ln -s $name $d/usr/bin/$name-link; ln $d/usr/bin/$name $d/usr/bin/$name-hard
	seq 1 20000 >$d/usr/share/$name/data; mkfifo $d/usr/share/$name/fifo
	echo "made for $version" >$d/etc/$name/conf; echo /etc/$name/conf >$d/DEBIAN/conffiles
	for script in preinst postinst prerm postrm; do
		printf '#!/bin/sh\nset -e\necho "%s %s: %s $*"\n' $name $version $script >$d/DEBIAN/$script; chmod 755 $d/DEBIAN/$script
	done
	{ printf '%s\n' "Package: $name" "Version: $version" "Architecture: amd64" "Maintainer: Nobody <nobody@localhost>" "Section: misc" "Priority: optional" "Description: a test" "$@"; } >$d/DEBIAN/control
	(cd $d && find . -path ./DEBIAN -prune -o -type f -print0 | sort -z | xargs -0 md5sum >DEBIAN/md5sums)
	SOURCE_DATE_EPOCH=1000000000 dpkg-deb --build --root-owner-group -Z"${Z:-xz}" $d repo/${name}_${version}_amd64.deb
}
state() { dpkg-query -W -f '${db:Status-Abbrev} ${Package} ${Version}\n' 'garrison-*' 2>&1; }
quiet() { grep -v -E '^(Reading|Building|Get:|Fetched|\(Reading|W: |N: |Hit:|Ign:|Need to get|After this|debconf)|upgraded, [0-9]+ newly' || true; }
mkdir -p repo build

echo "== build"
mkdeb garrison-base 1.0
Z=gzip mkdeb garrison-base 2.0
Z=none mkdeb garrison-app 1.0 'Depends: garrison-base (>= 1.0)'
mkdeb garrison-app 2.0 'Depends: garrison-base (>= 2.0), garrison-extra'
mkdeb garrison-extra 1.0 'Conflicts: garrison-old' 'Replaces: garrison-old' 'Provides: garrison-virtual'
mkdeb garrison-old 1.0
mkdeb garrison-broken 1.0
sed -i '$a exit 3' build/garrison-broken-1.0/DEBIAN/postinst; dpkg-deb -b build/garrison-broken-1.0 repo/garrison-broken_1.0_amd64.deb
sha256sum repo/*.deb | grep -v broken
dpkg-deb -I repo/garrison-app_2.0_amd64.deb | sed 's/size [0-9]* bytes/size N bytes/'; dpkg-deb -c repo/garrison-base_1.0_amd64.deb; dpkg-deb -f repo/garrison-app_2.0_amd64.deb Depends

echo "== dpkg"
dpkg -i repo/garrison-app_1.0_amd64.deb 2>&1 | quiet; state
dpkg -i repo/garrison-base_1.0_amd64.deb repo/garrison-app_1.0_amd64.deb 2>&1 | quiet; state
garrison-app; garrison-base-link; stat -c '%A %U %G %h %n' /usr/bin/garrison-* /usr/share/garrison-base/*
dpkg -V garrison-base; echo changed >>/etc/garrison-base/conf; echo x >>/usr/share/garrison-base/data; dpkg -V garrison-base
dpkg -i --force-confold repo/garrison-base_2.0_amd64.deb 2>&1 | quiet; cat /etc/garrison-base/conf; ls -A /etc/garrison-base
dpkg -i --force-confnew repo/garrison-base_1.0_amd64.deb 2>&1 | quiet; cat /etc/garrison-base/conf
dpkg -r garrison-base 2>&1 | quiet; dpkg -r garrison-app 2>&1 | quiet; state; ls -d /etc/garrison-* /usr/bin/garrison-*
dpkg -P garrison-app garrison-base 2>&1 | quiet; state; ls -d /etc/garrison-* 2>&1
dpkg -i repo/garrison-broken_1.0_amd64.deb 2>&1 | quiet; state; dpkg --audit | tail -n 1; dpkg -P garrison-broken 2>&1 | quiet
dpkg -i repo/garrison-old_1.0_amd64.deb 2>&1 | quiet; dpkg -i repo/garrison-extra_1.0_amd64.deb 2>&1 | quiet; state; dpkg -B -i repo/garrison-extra_1.0_amd64.deb 2>&1 | quiet; state
dpkg -P garrison-extra garrison-old 2>&1 | quiet

echo "== apt"
(cd repo && apt-ftparchive packages . >Packages && gzip -k Packages && apt-ftparchive release . >Release && grep -c '^Package' Packages)
rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/*; chmod 755 /root "$PWD"
echo "deb [trusted=yes] file:$PWD/repo ./" >/etc/apt/sources.list
apt-get update 2>&1 | grep -E '^(Reading|E:|W:)'
apt-cache policy garrison-app | grep -v file: ; apt-cache depends garrison-app
apt-get install -y garrison-app=1.0 2>&1 | quiet; state
apt-get install -y --only-upgrade garrison-base 2>&1 | quiet; state
apt-get dist-upgrade -y 2>&1 | quiet; state; apt-mark showauto | grep garrison
apt-get install -y ./repo/garrison-old_1.0_amd64.deb 2>&1 | quiet; state
apt-get install -y garrison-virtual 2>&1 | quiet; state
apt-get remove -y garrison-app 2>&1 | quiet; apt-get autoremove -y --purge 2>&1 | quiet; state
apt-get install -y garrison-none 2>&1 | quiet; echo "gave ${PIPESTATUS[0]}"
apt-get install -y garrison-broken 2>&1 | quiet; state; apt-get purge -y 'garrison-*' 2>&1 | quiet; state
apt-get check 2>&1 | quiet; apt-get clean; apt list --installed 2>/dev/null | grep -c garrison
grep -c ' install garrison-' /var/log/dpkg.log; grep -c '^Commandline: apt-get install' /var/log/apt/history.log; grep -c '^Setting up' /var/log/apt/term.log
[ -e /var/lib/dpkg/lock ] && (flock 9; dpkg -i repo/garrison-old_1.0_amd64.deb 2>&1 | sed 's/process [0-9]*/process N/; s/pid [0-9]*/pid N/') 9>>/dev/null
python3 -c '
import fcntl, os, subprocess
f = open("/var/lib/dpkg/lock-frontend", "r+"); fcntl.lockf(f, fcntl.LOCK_EX)
r = subprocess.run(["apt-get", "install", "-y", "garrison-base"], capture_output=True, text=True); print(r.returncode, "held by process %d" % os.getpid() in r.stderr, "Could not get lock" in r.stderr)'
echo "== real ones"
dpkg --verify less file && echo verified
apt-get purge -y less sqlite3 file 2>&1 | grep -E '^(Removing|Purging)' | sort; dpkg --configure -a; ldconfig -p | wc -l

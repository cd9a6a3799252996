# tar of /usr/share/doc, untar, compare.
mkdir /tmp/a /tmp/b && cd /tmp/a
tar cf doc.tar -C / --sort=name usr/share/doc && wc -c <doc.tar && md5sum <doc.tar
tar xf doc.tar -C /tmp/b && diff -r --no-dereference /usr/share/doc /tmp/b/usr/share/doc && echo same
tar czf doc.tgz -C /tmp/b usr && tar tzf doc.tgz | sort | md5sum
tar df doc.tar -C / && echo no differences
cp -a /tmp/b/usr /tmp/c && (cd /tmp/c && find . -type f -print0 | sort -z | xargs -0 md5sum | md5sum)
find /tmp/c -type f | wc -l; du -s --apparent-size /tmp/c | cut -f1
rm -rf /tmp/b /tmp/c; ls /tmp

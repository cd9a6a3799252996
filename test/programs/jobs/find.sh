# Every name in the root filesystem, with its type, mode, size and target.
find / -xdev -printf '%p %y %m %s %l\n' 2>/dev/null | sort

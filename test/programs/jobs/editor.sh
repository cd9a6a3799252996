# root: suites
# Screens: vim and tmux on a terminal, and a shell that expect types at.
cd /tmp
export HOME=/tmp TERM=xterm
cat >vim.exp <<'END'
set timeout 30
fconfigure stdout -buffering line
log_user 0
proc await {what} {
	expect {
		-ex $what {puts "saw $what"}
		timeout {puts "no $what"; exit 1}
		eof {puts "ended before $what"; exit 1}
	}
}
proc finish {} { expect eof; puts "status [lindex [wait] 3]" }
spawn -noecho vim -u NONE -N -i NONE text
stty rows 20 columns 70 < $spawn_out(slave,name)
await "New"
send "ifirst line\rsecond\033"
send ":s/second/2nd/\r:1copy $\r"
send ":w\r"
await "written"
send ":r !echo from a shell; tty | tr 0-9 N\r"
await "from a shell"
send ":set shell? lines? columns?\r"
await "columns="
send ":\$\roat the end\033:wqa!\r"
finish
spawn -noecho bash --norc --noprofile -i
send "PS1='ready> '; stty -echo\r"
await "ready> "
send "stty size; vim -u NONE -N -i NONE text\r"
await "first line"
send "\032"
await "Stopped"
await "ready> "
send "jobs | tr 0-9 N\r"
await "vim"
send "fg\r"
await "first line"
send ":q\r"
await "ready> "
send "sleep 50\r"
sleep 0.3
send "\003"
await "ready> "
send "echo gave \$?\r"
await "gave 130"
await "ready> "
send "\004"
finish
END
timeout 100 expect vim.exp
cat text

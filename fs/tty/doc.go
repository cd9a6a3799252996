// Package tty is terminals: the line discipline (line.go and what it names,
// termios(3) as a machine without locks or files), the Terminal that puts locks,
// waiting and job control around it, the open File on its program's side, and the
// Console whose far side is a host descriptor. Pseudoterminals' far side is in
// fs/devpts.
package tty

// Package socket is what every kind of socket has in common: the open file that
// read(2) and poll(2) see, the loops that wait for it, options of level
// SOL_SOCKET, control messages and the network namespace that sockets are made
// in. A family (unix, inet, netlink, in the packages below this one) gives a
// Proto, which sends and receives and never waits, and says what else it can do
// by having more methods.
package socket

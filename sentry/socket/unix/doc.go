// Package unix is AF_UNIX sockets, unix(7): streams through a ring of bytes,
// datagrams and sequenced packets through a queue of messages, names in the
// filesystem or in the network namespace, and files and credentials that travel.
//
// An Endpoint is one socket; a channel is one direction of a connection, the
// receive queue of one Endpoint. Locks: an Endpoint's mu guards what it is bound
// and connected to; a channel's mu its bytes or messages. Two endpoints are locked
// with lock.Two, and a channel is never locked under an endpoint.
package unix

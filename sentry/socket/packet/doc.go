// Package packet is AF_PACKET, packet(7): sockets that see the frames of a network's links
// and send such, with classic BPF to choose among them.
package packet

// Package control is what runsc and a sentry say to each other: the boot
// document that a sentry is started with, and the requests that later commands
// send to its control socket. Messages are JSON in length-prefixed frames that
// descriptors can ride on. Both programs link it; it knows neither the kernel
// nor the host.
package control

// Package dev is the character devices that every container has: null, zero,
// full, random, urandom, kmsg, and tty and console, which lead to terminals; and
// what fills a /dev with their names.
package dev

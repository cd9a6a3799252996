// Package tty is terminals.
package tty

// Package cmd is runsc's command line, one file per command: runc's commands,
// flags, output formats and words of error, as engines parse them, and a few
// commands more.
package cmd

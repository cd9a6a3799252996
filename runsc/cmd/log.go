package cmd

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"
)

// A logger writes for engines, which read the file that --log names, and for
// people, who read standard error.
type logger struct {
	file   io.Writer // nil without --log
	json   bool
	debug  bool
	opened bool
}

// An entry is a line of the JSON format, as Docker and containerd read it.
type entry struct {
	Level string    `json:"level"`
	Msg   string    `json:"msg"`
	Time  time.Time `json:"time"`
}

// open prepares the log. A file that can't be opened is an error of its own, on
// standard error; the command goes on.
func (l *logger) open(path, format string, debug bool) {
	if l.opened {
		return
	}
	l.opened, l.debug, l.json = true, debug, format == "json"
	if path == "" {
		return
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		fmt.Fprintf(os.Stderr, "runsc: --log: %v\n", err)
		return
	}
	l.file = f
}

// fail reports why the command failed: in the log, and in one line to whoever
// looks.
func (l *logger) fail(err error) {
	l.write("error", err.Error())
	if l.json && l.file == nil {
		_ = json.NewEncoder(os.Stderr).Encode(entry{"error", err.Error(), time.Now().UTC()})
		return
	}
	fmt.Fprintf(os.Stderr, "runsc: %v\n", err)
}

// warn reports what went wrong although the command succeeds.
func (l *logger) warn(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	l.write("warning", text)
	fmt.Fprintf(os.Stderr, "runsc: warning: %s\n", text)
}

// debugf reports what only --debug asks for.
func (l *logger) debugf(format string, args ...any) {
	if !l.debug {
		return
	}
	text := fmt.Sprintf(format, args...)
	if l.file == nil {
		fmt.Fprintf(os.Stderr, "runsc: debug: %s\n", text)
		return
	}
	l.write("debug", text)
}

func (l *logger) write(level, text string) {
	if l.file == nil {
		return
	}
	now := time.Now().UTC()
	if l.json {
		_ = json.NewEncoder(l.file).Encode(entry{level, text, now})
		return
	}
	fmt.Fprintf(l.file, "time=%q level=%s msg=%s\n", now.Format(time.RFC3339), level, strconv.Quote(text))
}

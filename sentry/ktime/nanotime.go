package ktime

import (
	"time"

	"garrison/platform/hot"
)

// Nanotime is CLOCK_MONOTONIC in nanoseconds.
func Nanotime() int64 { return hot.Now() }

func walltime() int64 { return time.Now().UnixNano() }

// Command runsc-sentry is the kernel of one sandbox. runsc starts it behind
// walls of its own with one socket, through which everything else comes; nobody
// else has a use for it.
package main

import (
	"os"

	"garrison/runsc/boot"
)

func main() { os.Exit(boot.Main(os.Args[1:])) }

// Command mountguest is mount(2) as it is: mount(8) makes a loop device of a source that is
// a regular file.
package main

import (
	"fmt"
	"os"
	"syscall"
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: mountguest TYPE SOURCE TARGET")
		os.Exit(2)
	}
	if err := syscall.Mount(os.Args[2], os.Args[3], os.Args[1], 0, ""); err != nil {
		fmt.Fprintf(os.Stderr, "mount %s: %v\n", os.Args[2], err)
		os.Exit(1)
	}
}

// Command runsc is an OCI runtime: it runs containers in sandboxes that have a
// kernel of their own.
package main

import (
	"os"

	"garrison/runsc/cmd"
)

func main() { os.Exit(cmd.Main(os.Args[1:])) }

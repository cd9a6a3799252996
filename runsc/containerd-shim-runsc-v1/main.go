// Command containerd-shim-runsc-v1 is what containerd starts for containers
// whose runtime is "io.containerd.runsc.v1": it stands between the daemon and runsc.
package main

import (
	"context"

	"garrison/runsc/shim"
)

func main() { shim.Main(context.Background()) }

package boot

import (
	"fmt"
	"os"
	"time"
)

// logf writes a line to the debug log, which is standard error.
func logf(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%s sentry: %s\n", time.Now().UTC().Format("15:04:05.000000"), fmt.Sprintf(format, args...))
}

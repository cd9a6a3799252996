package proc

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"

	"garrison/sentry/vfs"
)

// showCPUInfo is /proc/cpuinfo: the host's text with as many processors as the
// guest has, or one made up.
func showCPUInfo(fs *FS, _ vfs.Ctx, w *bytes.Buffer) error {
	w.WriteString(cpuinfo(fs.conf.CPUInfo, fs.k.CPUs()))
	return nil
}

var processorLine = regexp.MustCompile(`(?m)^(processor|apicid|initial apicid|core id)(\s*:\s*)\d+$`)

// cpuinfo fits the host's text to n processors.
func cpuinfo(host string, n int) string {
	blocks := strings.Split(strings.TrimSpace(host), "\n\n")
	if host == "" {
		blocks = []string{inventedCPU()}
	}
	var b strings.Builder
	for i := range n {
		block := hideFSGSBase(blocks[min(i, len(blocks)-1)])
		if i >= len(blocks) || !strings.HasPrefix(block, "processor") {
			block = processorLine.ReplaceAllString(block, fmt.Sprintf("${1}${2}%d", i))
		}
		b.WriteString(block + "\n\n")
	}
	return b.String()
}

// hideFSGSBase takes out of the flags what AT_HWCAP2 hides too: a guest that
// changes its GS base itself costs the platform its short cuts.
func hideFSGSBase(block string) string { return strings.Replace(block, " fsgsbase ", " ", 1) }

package runtime

import (
	"fmt"
	"slices"
	"strings"
)

// auditArch are the kernel's names of architectures in its audit records.
var auditArch = map[string]string{"amd64": "c000003e", "arm64": "c00000b7"}

// FormatTrace writes system calls that were seen by number on an architecture,
// by Go's name for it, in the form that Observe reads.
func FormatTrace(goarch string, calls []int) ([]byte, error) {
	table := numbers()[auditArch[goarch]]
	if table == nil {
		return nil, fmt.Errorf("no names of system calls for %s", goarch)
	}
	var lines []string
	for _, n := range calls {
		if name := table[n]; name != "" {
			lines = append(lines, name+"()\n")
		}
	}
	slices.Sort(lines)
	return []byte(strings.Join(lines, "")), nil
}

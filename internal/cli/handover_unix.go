//go:build unix

package cli

import (
	"os"
	"syscall"
)

// execute replaces this process, so that signals, exit code and streams are
// the other's own. It returns only on failure.
func execute(_ *Frame, path string, args []string) error {
	return syscall.Exec(path, append([]string{path}, args...), os.Environ())
}

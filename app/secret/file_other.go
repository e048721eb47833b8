//go:build !linux

package secret

import (
	"io/fs"
	"os"
)

// Elsewhere a program runs on its developer's machine: the mode is judged, the
// owner and the file system are not.

func openPlain(path string) (*os.File, error) { return os.Open(path) }

func delivered(*os.File) bool { return false }

func trustedOwner(fs.FileInfo) error { return nil }

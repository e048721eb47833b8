//go:build !linux

package checks

import "errors"

// The library runs in containers; elsewhere the check says that it cannot tell.
func usage(string) (diskUsage, error) {
	return diskUsage{}, errors.ErrUnsupported
}

//go:build linux

package scene

import "runtime"

// sysStatx is the number of statx(2), which package syscall does not know on
// every platform; where it is missing here, rootIsMount says no.
var sysStatx = map[string]uintptr{
	"amd64": 332, "386": 383, "arm": 397, "arm64": 291, "loong64": 291, "ppc64le": 383, "riscv64": 291, "s390x": 379,
}[runtime.GOARCH]

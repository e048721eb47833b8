//go:build unix && (!linux || !(amd64 || arm64) || portable)

package machine

import "syscall"

// nonblock keeps the opening of a named pipe from waiting for its writer.
const nonblock = syscall.O_NONBLOCK

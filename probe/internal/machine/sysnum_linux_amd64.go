//go:build !portable

package machine

const sysGetrandom = 318 // not in package syscall

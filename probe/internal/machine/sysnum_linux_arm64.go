//go:build !portable

package machine

const sysGetrandom = 278 // not in package syscall

//go:build !notls

package main

// The linker puts packages into the binary in the order of their imports, the
// first file's first. With crypto/tls, which the fast path has no use for,
// before all others, what the fast path does use lies together and takes fewer
// page faults.
import _ "crypto/tls"

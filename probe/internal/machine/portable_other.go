//go:build !unix

package machine

const nonblock = 0

//go:build !health_nomux

package health

func init() { muxOnce() }

//go:build !linux

package main

// limitMemory does nothing: this system has no limit that counts what is used
// and not what is reserved. The limits of the request still hold.
func limitMemory() error { return nil }

//go:build !linux || !(amd64 || arm64) || portable

package main

// entryMemory is empty: there is no fast path here.
type entryMemory struct{}

// What only the fast path needs.
var _, _ = &memory.words, &memory.entry

package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"sync"
)

// How garbage is collected, in bytes: not at all until a build uses as much as
// firstCollection, before which most are done, and more often when it uses as
// much as memoryLimit, which is above what a build of any size holds on to.
const (
	firstCollection = 64 << 20
	memoryLimit     = 112 << 20
)

// heavy is how much of the heap a build takes in huge pages, in bytes.
const heavy = 40 << 20

// limitMemory says so to the runtime, unless the environment says something of
// it. What it returns is for a build that the cache does not spare.
func limitMemory() func() {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return nil
	}
	percent := debug.SetGCPercent(-1)
	debug.SetMemoryLimit(firstCollection)
	untilFirst := func() runtime.Cleanup {
		return runtime.AddCleanup(new([64]byte), func(struct{}) {
			debug.SetGCPercent(percent)
			debug.SetMemoryLimit(memoryLimit)
		}, struct{}{})
	}
	first := untilFirst()
	return sync.OnceFunc(func() {
		if !hugeOnRequest() {
			return
		}
		first.Stop()
		advise(heavy)
		untilFirst()
	})
}

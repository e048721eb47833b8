package main

import (
	"bytes"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

const hugePage = 2 << 20 // bytes

// hugeOnRequest reports whether the system gives huge pages to those that ask
// with madvise(2), and to no others.
func hugeOnRequest() bool {
	mode, err := os.ReadFile("/sys/kernel/mm/transparent_hugepage/enabled")
	return err == nil && bytes.Contains(mode, []byte("[madvise]"))
}

// advise asks for huge pages for the part of the heap that grows next, n bytes of
// it: a page fault in a virtual machine takes microseconds, and a small build
// has ten thousand. The heap has no call for that, so it is asked for that much,
// and gets it back before anything was written there. If it goes on elsewhere,
// nothing but the request is lost.
func advise(n int) {
	room := make([]byte, n)
	skip := int(-uintptr(unsafe.Pointer(unsafe.SliceData(room))) % hugePage)
	_ = unix.Madvise(room[skip:skip+(n-skip)/hugePage*hugePage], unix.MADV_HUGEPAGE) // a kernel without them refuses
	runtime.GC()
}

package main

import "syscall"

// maxMemory bounds what a hostile file can make of this process, in bytes. A
// file of the largest size that is sent takes a tenth of it.
const maxMemory = 1 << 30

// limitMemory makes the kernel refuse more, which ends the process.
func limitMemory() error {
	return syscall.Setrlimit(syscall.RLIMIT_DATA, &syscall.Rlimit{Cur: maxMemory, Max: maxMemory})
}

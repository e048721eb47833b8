package checks

import "syscall"

func usage(path string) (diskUsage, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(path, &s); err != nil {
		return diskUsage{}, err
	}
	block := uint64(s.Frsize)
	if block == 0 {
		block = uint64(s.Bsize)
	}
	return diskUsage{size: s.Blocks * block, free: s.Bavail * block, inodes: s.Files, freeInodes: s.Ffree}, nil
}

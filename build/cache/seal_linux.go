package cache

import (
	"io/fs"
	"syscall"
)

// system adds what only the kernel can change.
func (s *seal) system(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return false
	}
	s.Device, s.Inode, s.Changed = st.Dev, st.Ino, st.Ctim.Nano()
	return true
}

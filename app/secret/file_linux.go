package secret

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
)

// openPlain does not wait for a writer if the path is a pipe.
func openPlain(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
}

// maxMountinfo bounds the bytes read of /proc/self/mountinfo.
const maxMountinfo = 4 << 20

// delivered reports whether the file was mounted for this program. Whoever can
// mount could do anything to the program, so its owner proves nothing more.
func delivered(h *os.File) bool {
	path, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", h.Fd()))
	if err != nil {
		return false
	}
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }() // opened to read
	text, err := io.ReadAll(io.LimitReader(f, maxMountinfo+1))
	if err != nil || len(text) > maxMountinfo {
		return false
	}
	point, kind := mountOf(string(text), path)
	return point == path || inMemory(kind) && !everybodys(point)
}

func inMemory(kind string) bool { return kind == "tmpfs" || kind == "ramfs" }

// everybodys reports whether a file system in memory is commonly mounted there
// for all programs of a machine.
func everybodys(point string) bool {
	switch point {
	case "/", "/run", "/var/run", "/tmp", "/var/tmp", "/dev", "/dev/shm", "/run/lock":
		return true
	}
	return strings.HasPrefix(point, "/run/user")
}

// mountOf finds the mount that path, which is absolute and without links, is
// on, in the format of proc_pid_mountinfo(5). Of several at one place the last
// is on top.
func mountOf(mountinfo, path string) (point, kind string) {
	for line := range strings.Lines(mountinfo) {
		left, right, ok := strings.Cut(line, " - ")
		fields, rest := strings.Fields(left), strings.Fields(right)
		if !ok || len(fields) < 5 || len(rest) < 1 {
			continue
		}
		at := unescape(fields[4])
		if within(path, at) && len(at) >= len(point) {
			point, kind = at, rest[0]
		}
	}
	return point, kind
}

func within(path, dir string) bool {
	return path == dir || dir == "/" || strings.HasPrefix(path, dir+"/")
}

var mountEscapes = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)

func unescape(s string) string { return mountEscapes.Replace(s) }

func trustedOwner(info fs.FileInfo) error {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return errors.New("owner is unknown")
	}
	if s.Uid != 0 && int(s.Uid) != os.Geteuid() {
		return fmt.Errorf("belongs to user %d: use root or the user of the program, %d", s.Uid, os.Geteuid())
	}
	return nil
}

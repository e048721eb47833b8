//go:build linux

package scene

import (
	"bytes"
	"strconv"
	"syscall"
	"time"
	"unsafe"

	"github.com/hardstand/hardstand/canary/alert"
)

// Proof is the permission to touch PID 1. The zero value permits nothing.
type Proof struct {
	image  bool // the marker file is this image's
	pidOne bool // PID 1 is this image's, in a pid namespace of its own
}

// Image says that the decoy runs in its own image.
func (p Proof) Image() bool { return p.image }

// PidOne says that PID 1 may be touched.
func (p Proof) PidOne() bool { return p.pidOne }

// initialNamespace is the kernel's fixed inode of the first pid namespace
// (PROC_PID_INIT_INO): the machine's own.
const initialNamespace = "pid:[4026531836]"

// Prove compares the marker file with its baked content, refuses the
// machine's own pid namespace, and then demands that PID 1 sees the same
// marker file (device and inode) as we do. Where the kernel hides PID 1's root
// because it is not dumpable, the proof is that PID 1 runs under our own user
// id, not root's, in our own control groups, and that our root is the root of a
// mount: a machine's init is root's, another container of a pod has other
// control groups, and a chroot folder is no mount.
func Prove(marker string, content []byte) Proof {
	var p Proof
	if marker == "" || len(content) == 0 || !bytes.Equal(ReadFile(marker), content) {
		return p
	}
	p.image = true
	if readLink("/proc/self") != strconv.Itoa(syscall.Getpid()) {
		return p // this /proc tells of another pid namespace
	}
	namespace := readLink("/proc/self/ns/pid")
	if namespace == "" || namespace == initialNamespace {
		return p
	}
	var mine, theirs syscall.Stat_t
	if syscall.Stat(marker, &mine) != nil {
		return p
	}
	switch err := syscall.Stat("/proc/1/root"+marker, &theirs); err {
	case nil:
		p.pidOne = mine.Dev == theirs.Dev && mine.Ino == theirs.Ino
	case syscall.EACCES, syscall.EPERM:
		p.pidOne = samePlainUser() && sameControlGroup() && rootIsMount()
	}
	return p
}

// samePlainUser: the folder /proc/1 belongs to PID 1's effective user id, also
// when PID 1 is not dumpable.
func samePlainUser() bool {
	var st syscall.Stat_t
	uid := uint32(syscall.Geteuid())
	return uid != 0 && syscall.Stat("/proc/1", &st) == nil && st.Uid == uid
}

// sameControlGroup compares lists that anybody may read. One that fills the
// buffer may differ behind it.
func sameControlGroup() bool {
	mine, theirs := ReadFile("/proc/self/cgroup"), ReadFile("/proc/1/cgroup")
	return len(mine) > 0 && len(mine) < maxFile && bytes.Equal(mine, theirs)
}

// rootIsMount asks statx(2) for STATX_ATTR_MOUNT_ROOT of "/"; kernels before
// 5.8 do not know it, and the answer is no.
func rootIsMount() bool {
	const (
		atFDCWD       = -100
		attrMountRoot = 0x2000
	)
	var statx [256]byte
	root := [2]byte{'/', 0}
	at := atFDCWD
	if sysStatx == 0 {
		return false
	}
	_, _, errno := syscall.RawSyscall6(sysStatx, uintptr(at), uintptr(unsafe.Pointer(&root)), 0, 0, uintptr(unsafe.Pointer(&statx)), 0)
	attributes := *(*uint64)(unsafe.Pointer(&statx[8]))
	return errno == 0 && attributes&attrMountRoot != 0
}

const (
	rlimitCPU    = 0
	rlimitNoFile = 7
	rlimitLocks  = 10
	rlimitRTTime = 15
	unlimited    = ^uint64(0)
)

type rlimit struct{ soft, hard uint64 }

func prlimit(resource int, set, get *rlimit) error {
	_, _, errno := syscall.RawSyscall6(syscall.SYS_PRLIMIT64, 1, uintptr(resource),
		uintptr(unsafe.Pointer(set)), uintptr(unsafe.Pointer(get)), 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// Latch sets PID 1's latch once and returns what became of it.
func Latch(p Proof, decoy string, now time.Time) string {
	if !p.pidOne || syscall.Getpid() == 1 {
		return alert.LatchUnproven
	}
	var old rlimit
	if prlimit(rlimitRTTime, nil, &old) != nil {
		return alert.LatchDenied
	}
	if _, _, set := alert.ParseMark(old.hard); set && old.soft == old.hard {
		return alert.LatchAlready
	}
	mark := alert.Mark(decoy, now)
	if prlimit(rlimitRTTime, &rlimit{mark, mark}, nil) != nil {
		return alert.LatchDenied
	}
	return alert.LatchSet
}

// Count keeps how often decoys were executed in the soft RLIMIT_LOCKS of
// PID 1, which Linux has ignored since 2.4.25 and any process of the user may
// change: a place to count in that needs no file. It returns the count and
// whether this execution is worth another message: the first ones, then each
// power of two, then one a minute. The count is only believed once the latch
// is set, so nobody can silence the first alarm with it.
func Count(p Proof, latch string, now time.Time) (n uint64, speak bool) {
	var locks rlimit
	if !p.pidOne || latch != alert.LatchSet && latch != alert.LatchAlready || prlimit(rlimitLocks, nil, &locks) != nil {
		return 1, true
	}
	second := uint64(now.Unix()) & tallySeconds
	n, speak = 1, true
	if latch == alert.LatchAlready {
		n, speak = tally(locks.soft, second)
	}
	if !speak {
		second = locks.soft & tallySeconds
	}
	_ = prlimit(rlimitLocks, &rlimit{n<<tallyShift | second, locks.hard}, nil) // without it we speak too often, no more
	return n, speak
}

const (
	tallyShift   = 34 // seconds below, count above
	tallySeconds = 1<<tallyShift - 1
	tallyMax     = 1<<(62-tallyShift) - 1
	alwaysSpeak  = 8
	speakAgain   = 60 // seconds
)

func tally(word, now uint64) (n uint64, speak bool) {
	if word == unlimited {
		return 2, true // the latch was set, by a decoy that could not count
	}
	n = min(word>>tallyShift+1, tallyMax)
	last := word & tallySeconds
	return n, n <= alwaysSpeak || n&(n-1) == 0 || now >= last+speakAgain || now < last
}

// WriteLog writes a line to the standard error of PID 1, which is the
// container's log. It does not block.
func WriteLog(p Proof, line []byte) bool {
	if !p.pidOne {
		return false
	}
	fd, err := syscall.Open("/proc/1/fd/2", syscall.O_WRONLY|syscall.O_APPEND|syscall.O_NONBLOCK|syscall.O_NOCTTY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer syscall.Close(fd)
	n, err := syscall.Write(fd, line)
	return err == nil && n == len(line)
}

// Send writes a datagram to an abstract socket, for a guard or a sidecar in
// the same network namespace.
func Send(name string, line []byte) bool {
	if name == "" {
		return false
	}
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_DGRAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer syscall.Close(fd)
	return syscall.Sendto(fd, line, 0, &syscall.SockaddrUnix{Name: "@" + name}) == nil
}

// Degrade takes PID 1's right to open files and connections.
func Degrade(p Proof) {
	if p.pidOne && syscall.Getpid() != 1 {
		_ = prlimit(rlimitNoFile, &rlimit{}, nil) // nothing more can be done
	}
}

// Fall brings PID 1 down as far as the kernel lets a process of its user do:
// SIGTERM, SIGABRT, then everything below it, and last a limit of one second
// of processor time, at which the kernel itself kills. An idle PID 1 without a
// handler survives all of it; the latch remains.
func Fall(p Proof) {
	if !p.pidOne || syscall.Getpid() == 1 {
		return
	}
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGABRT} {
		if syscall.Kill(1, signal) != nil {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	_ = syscall.Kill(-1, syscall.SIGKILL)
	_ = prlimit(rlimitNoFile, &rlimit{}, nil)
	_ = prlimit(rlimitCPU, &rlimit{1, 1}, nil)
}

func uptime() int64 {
	const clockBoottime = 7
	var ts syscall.Timespec
	if _, _, errno := syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, clockBoottime, uintptr(unsafe.Pointer(&ts)), 0); errno != 0 {
		return 0
	}
	return ts.Nano() / 1000
}

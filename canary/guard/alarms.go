//go:build linux

package main

import (
	"context"
	"crypto/rand"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/hardstand/hardstand/canary/alert"
	"github.com/hardstand/hardstand/canary/internal/config"
	"github.com/hardstand/hardstand/canary/internal/scene"
)

const (
	spoolSize   = 1024 // alarms kept for the collector; the oldest are dropped beyond
	sendTimeout = 5 * time.Second
	firstRetry  = 200 * time.Millisecond
	lastRetry   = 30 * time.Second
	burst       = 20 // lines in the log at once
	refill      = time.Second
)

// alarms is where every sensor of the guard reports.
type alarms struct {
	config config.Config
	key    alert.Key
	// readable: other processes of the user may open the guard's files in
	// /proc, its standard error among them. It is so only if the guard was
	// installed with permission to be read.
	readable bool
	keys     map[string]alert.Key

	mu        sync.Mutex
	tokens    int
	filled    time.Time
	swallowed uint64
	forged    uint64
	seen      map[alert.Nonce]bool
	spool     [][]byte
	wake      chan struct{}
	empty     chan struct{}
}

func newAlarms(c config.Config) *alarms {
	a := &alarms{config: c, keys: map[string]alert.Key{}, tokens: burst, seen: map[alert.Nonce]bool{},
		wake: make(chan struct{}, 1), empty: make(chan struct{}, 1), readable: dumpable()}
	for _, d := range c.Decoys {
		if d.Name == alert.Guard {
			a.key = alert.KeyFromBytes(d.Key)
		} else {
			a.keys[d.Name] = alert.KeyFromBytes(d.Key)
		}
	}
	return a
}

// raise signs an alarm of the guard's own.
func (a *alarms) raise(e alert.Event) {
	if !a.allowed() {
		return
	}
	e.Build, e.Decoy, e.Time, e.OnTrip, e.Latch = a.config.Build, alert.Guard, time.Now().UnixMicro(), alert.TripAlert, latchSelf(alert.Guard)
	_, _ = rand.Read(e.Nonce[:]) // never fails, crypto/rand
	e.UID, e.EUID, e.GID = uint32(os.Getuid()), uint32(os.Geteuid()), uint32(os.Getgid())
	e.Count = a.takeSwallowed() + 1
	a.publish(a.key.Seal(e, alert.MaxLine-1))
}

// allowed keeps a flood of executions from flooding the log: a burst, then one
// a second. The next line's count includes what was swallowed.
func (a *alarms) allowed() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	if gained := int(now.Sub(a.filled) / refill); gained > 0 {
		a.tokens, a.filled = min(burst, a.tokens+gained), now
	}
	if a.tokens == 0 {
		a.swallowed++
		return false
	}
	a.tokens--
	return true
}

func (a *alarms) takeSwallowed() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := a.swallowed
	a.swallowed = 0
	return n
}

// publish writes a line to the log and queues it for the collector.
func (a *alarms) publish(line []byte) {
	_, _ = os.Stderr.Write(append([]byte{'\n'}, line...)) // the collector may still hear it
	a.queue(line)
}

func (a *alarms) queue(line []byte) {
	if a.config.Collector == "" {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.spool) == spoolSize {
		a.spool = a.spool[1:]
	}
	a.spool = append(a.spool, line)
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// send hands the spool to the collector, oldest first, each until accepted.
func (a *alarms) send() {
	wait := firstRetry
	for {
		line := a.oldest()
		if line == nil {
			<-a.wake
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), sendTimeout)
		err := post(ctx, a.config.Collector, a.config.CA, line)
		cancel()
		if err != nil {
			time.Sleep(wait)
			wait = min(2*wait, lastRetry)
			continue
		}
		wait = firstRetry
		a.sent(line)
	}
}

func (a *alarms) oldest() []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.spool) == 0 {
		return nil
	}
	return a.spool[0]
}

// sent drops an accepted line, unless a full spool has dropped it already.
func (a *alarms) sent(line []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.spool) > 0 && &a.spool[0][0] == &line[0] {
		a.spool = a.spool[1:]
	}
	if len(a.spool) == 0 {
		select {
		case a.empty <- struct{}{}:
		default:
		}
	}
}

func dumpable() bool {
	const prGetDumpable = 3
	state, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, prGetDumpable, 0, 0)
	return errno == 0 && state == 1
}

// drain is how long the guard goes on listening at its end: a decoy that
// brings the container down has sent its alarm just before.
const drain = 20 * time.Millisecond

// flush waits at the container's end until the collector has everything.
func (a *alarms) flush() {
	time.Sleep(drain)
	if a.oldest() == nil {
		return
	}
	select {
	case <-a.empty:
	case <-time.After(lastWords):
	}
}

// relay takes alarms of decoys that could not reach the log themselves: those
// of another user. It accepts only what a key of this image has signed.
func (a *alarms) relay() {
	if a.config.Socket == "" {
		return
	}
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: "@" + a.config.Socket, Net: "unixgram"})
	if err != nil {
		return // somebody took the name; the decoys' other channels remain
	}
	buf := make([]byte, alert.MaxLine)
	for {
		n, err := socket.Read(buf)
		if err != nil {
			return
		}
		a.accept(buf[:n])
	}
}

func (a *alarms) accept(line []byte) {
	m, err := alert.Parse(line)
	key, known := a.keys[m.Event.Decoy]
	if err != nil || !known || m.Event.Build != a.config.Build || m.Verify(key) != nil {
		a.countForged()
		return
	}
	reached := m.Event.Latch == alert.LatchSet || m.Event.Latch == alert.LatchAlready
	if a.readable && reached || !a.first(m.Event.Nonce) || !a.allowed() {
		return // it had its own way to the log, was heard, or floods
	}
	latchSelf(m.Event.Decoy)
	a.publish(append([]byte(nil), line...))
}

const maxSeen = 4096

func (a *alarms) first(nonce alert.Nonce) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.seen[nonce] {
		return false
	}
	if len(a.seen) >= maxSeen {
		clear(a.seen)
	}
	a.seen[nonce] = true
	return true
}

// countForged raises one alarm for the first of many.
func (a *alarms) countForged() {
	a.mu.Lock()
	a.forged++
	n := a.forged
	a.mu.Unlock()
	if n&(n-1) == 0 {
		a.raise(alert.Event{Kind: alert.KindForged, Origin: alert.FromInside})
	}
}

// latchSelf sets the latch on this process, which is PID 1: it needs no proof
// to limit itself.
func latchSelf(decoy string) string {
	const rlimitRTTime = 15
	if os.Getpid() != 1 {
		return alert.LatchUnproven
	}
	var old syscall.Rlimit
	if syscall.Getrlimit(rlimitRTTime, &old) != nil {
		return alert.LatchDenied
	}
	if _, _, set := alert.ParseMark(old.Max); set && old.Cur == old.Max {
		return alert.LatchAlready
	}
	mark := alert.Mark(decoy, time.Now())
	if syscall.Setrlimit(rlimitRTTime, &syscall.Rlimit{Cur: mark, Max: mark}) != nil {
		return alert.LatchDenied
	}
	return alert.LatchSet
}

// ancestorsOf is nil for pid 0.
func ancestorsOf(pid int) []alert.Process {
	if pid == 0 {
		return nil
	}
	return scene.Ancestors(pid)
}

//go:build linux

// Command multicall is the decoy: one static program, hard-linked under the
// names of the tools an intruder reaches for. When executed it sets the latch
// on PID 1, writes an authenticated alarm to the container's log, offers it to
// an abstract socket, and then plays the part of the tool it is named after.
// Outside its own image it only plays.
//
// It does its own system calls where package os would do more at start than
// the decoy needs.
package main

import (
	"crypto/rand"
	"strings"
	"syscall"
	"time"

	"github.com/hardstand/hardstand/canary/alert"
	"github.com/hardstand/hardstand/canary/decoy/internal/face"
	"github.com/hardstand/hardstand/canary/internal/config"
	"github.com/hardstand/hardstand/canary/internal/scene"
)

func main() {
	now := time.Now()
	self := look()
	name := self.Path[strings.LastIndexByte(self.Path, '/')+1:]
	c, err := config.Parse(block[:])
	var d config.Decoy
	var reported <-chan struct{}
	if err == nil {
		d = choose(c.Decoys, name)
		reported = trip(c, d, self, now)
	}
	if d.Name != "" {
		name = d.Name
	}
	code := face.Play(face.Call{Name: name, Args: arguments(self.Argv), Quiet: d.Quiet, World: world(self, now)})
	if reported != nil {
		<-reported
	}
	syscall.Exit(code)
}

// choose finds the applet by the name of the executed file, or falls back to
// the first: a renamed decoy must not be a silent one.
func choose(decoys []config.Decoy, name string) config.Decoy {
	for _, d := range decoys {
		if d.Name == name {
			return d
		}
	}
	if len(decoys) > 0 {
		return decoys[0]
	}
	return config.Decoy{}
}

// trip raises the alarm. The latch comes first: whoever kills this process
// early can no longer take it back. The channel closes when the network has
// been told; it is nil where there is nothing to tell.
func trip(c config.Config, d config.Decoy, self scene.Self, now time.Time) (reported <-chan struct{}) {
	proof := scene.Prove(c.Marker, c.Proof)
	if !proof.Image() {
		return nil
	}
	e := alert.Event{Build: c.Build, Decoy: d.Name, Time: now.UnixMicro(), OnTrip: d.OnTrip}
	e.Latch = scene.Latch(proof, d.Name, now)
	var speak bool
	e.Count, speak = scene.Count(proof, e.Latch, now)
	if speak {
		scene.LookAround(&e, self)
		reported = tell(c, d, &e, proof)
		if e.Origin == alert.FromInside && len(e.Peers) == 0 {
			reported = both(reported, guess(c, d, e, proof))
		}
	}
	switch d.OnTrip {
	case alert.TripDegrade:
		scene.Degrade(proof)
	case alert.TripFall:
		if reported != nil {
			select { // falling ends the network with the container
			case <-reported:
			case <-time.After(fallWait):
			}
		}
		scene.Fall(proof)
	}
	return reported
}

// tell sends the alarm through every channel.
func tell(c config.Config, d config.Decoy, e *alert.Event, proof scene.Proof) (reported <-chan struct{}) {
	_, _ = rand.Read(e.Nonce[:]) // never fails, crypto/rand
	line := alert.KeyFromBytes(d.Key).Seal(*e, alert.MaxLine-1)
	scene.WriteLog(proof, append([]byte{'\n'}, line...)) // ends what the application left unfinished
	scene.Send(c.Socket, line)
	return report(c, d, *e)
}

// guess follows with the application's connections, where no inherited socket
// has told the intruder's address already.
func guess(c config.Config, d config.Decoy, e alert.Event, proof scene.Proof) (reported <-chan struct{}) {
	if e.Guess = scene.Connections(); len(e.Guess) == 0 {
		return nil
	}
	e.Kind, e.Env, e.Ancestors = alert.KindPeers, nil, nil
	return tell(c, d, &e, proof)
}

func both(first, second <-chan struct{}) <-chan struct{} {
	if second == nil {
		return first
	}
	done := make(chan struct{})
	go func() {
		<-first
		<-second
		close(done)
	}()
	return done
}

const fallWait = 50 * time.Millisecond

func look() scene.Self {
	self := scene.Self{Env: syscall.Environ(), Limits: scene.ReadLimits()}
	self.Argv = scene.Split(scene.ReadFile("/proc/self/cmdline"))
	self.Cwd, _ = syscall.Getwd() // empty where it is gone
	self.Path = executable(self.Argv)
	return self
}

// executable is the file as the kernel names it; argv[0] is the intruder's
// choice and used only without /proc.
func executable(argv []string) string {
	buf := make([]byte, 4096)
	if n, err := syscall.Readlink("/proc/self/exe", buf); err == nil && n > 0 {
		return string(buf[:n])
	}
	if len(argv) > 0 {
		return argv[0]
	}
	return ""
}

func arguments(argv []string) []string {
	if len(argv) == 0 {
		return nil
	}
	return argv[1:]
}

//go:build linux

// Command guard is an optional entrypoint: it runs the application as its
// child, forwards signals to it, reaps what is orphaned, and returns its exit
// code. Meanwhile it is the image's sensor that needs no privilege:
//
//   - every program executed below it is reported, and refused if so
//     configured, by seccomp user notification (see tripwire.go);
//   - opened decoy files are reported, and named pipes tell who reads them;
//   - decoys that run as another user, and so cannot reach the log, offer
//     their alarms to an abstract socket, from which the guard takes them;
//   - all of it goes to the log and to the collector, kept in memory and sent
//     again until it is accepted.
//
// It does not see what `docker exec` starts: that is no descendant. A process
// with several threads can change the arguments between the look at them and
// the execution. The guard is a sensor, not a boundary.
//
// Like a decoy it should be executable and not readable: it holds keys.
package main

import (
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/hardstand/hardstand/canary/internal/config"
)

const (
	exitUsage  = 2
	exitStart  = 127
	childRole  = "starting the application" // argv[0] of the step between guard and application
	signalRoom = 64
)

func main() {
	if os.Args[0] == childRole {
		fail(exitStart, "start "+os.Args[1], becomeApplication(os.Args[1:]))
	}
	if len(os.Args) < 2 {
		_, _ = os.Stderr.WriteString("usage: " + os.Args[0] + " PROGRAM [ARGUMENT]...\n") // nowhere else to say it
		os.Exit(exitUsage)
	}
	c, err := config.Parse(block[:])
	alarms := newAlarms(c)
	if err == nil {
		go alarms.relay()
		if networked == 1 {
			go alarms.send()
			go alarms.beat()
		}
		alarms.watch()
		alarms.servePipes()
	}
	os.Exit(run(alarms, err == nil, os.Args[1:]))
}

// run is the life of the application. Without a configuration there is no
// tripwire: nobody could verify what it says.
func run(alarms *alarms, armed bool, argv []string) int {
	signals := make(chan os.Signal, signalRoom)
	signal.Notify(signals)
	app, tripwire, err := startApplication(argv)
	if err != nil {
		fail(exitStart, "start "+argv[0], err)
	}
	go alarms.trip(tripwire, armed, app)
	for s := range signals {
		number := s.(syscall.Signal)
		switch number {
		case syscall.SIGCHLD:
			if status, ended := reap(app); ended {
				alarms.flush()
				return exitCode(status)
			}
		case syscall.SIGURG, syscall.SIGPIPE: // the guard's own
		default:
			_ = syscall.Kill(app, number) // it may be gone; SIGCHLD follows
		}
	}
	return exitStart
}

// reap collects every child that has ended.
func reap(app int) (status syscall.WaitStatus, ended bool) {
	for {
		var s syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &s, syscall.WNOHANG, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil || pid <= 0 {
			return status, ended
		}
		if pid == app && (s.Exited() || s.Signaled()) {
			status, ended = s, true
		}
	}
}

// exitCode is the application's, or 128 and the signal as shells have it.
func exitCode(s syscall.WaitStatus) int {
	if s.Signaled() {
		return 128 + int(s.Signal())
	}
	return s.ExitStatus()
}

func fail(code int, what string, err error) {
	_, _ = os.Stderr.WriteString("guard: " + what + ": " + err.Error() + "\n") // nowhere else to say it
	os.Exit(code)
}

// lastWords is how long the guard waits at its end for the collector.
const lastWords = 1500 * time.Millisecond

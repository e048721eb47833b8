package health

import (
	"errors"
	"strings"
	"time"
)

// State is what is known about one check, or about a group of them.
type State uint8

// The states of a check. A group's state is Pass, Warn or Fail.
const (
	Pending State = iota // no result yet
	Pass
	Warn  // works, with a defect worth reporting; see Degraded
	Fail  // the last result counts as a failure
	Hung  // a run has been going for longer than its timeout
	Stale // the last result is older than its maximum age
)

var stateNames = [...]string{"pending", "pass", "warn", "fail", "hung", "stale"}

// String returns the state in lower case.
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return "unknown"
}

// MarshalText writes the state as String does.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Failing reports whether the state is Fail, Hung or Stale.
func (s State) Failing() bool { return s >= Fail }

// Group is a set of questions that a check takes part in. A check that answers
// Ready does not answer Live unless it is in both.
type Group uint8

// The groups, after the three probes of Kubernetes.
const (
	Live    Group = 1 << iota // must the process be restarted?
	Ready                     // may it get traffic?
	Startup                   // has it finished starting?

	Any = Live | Ready | Startup
)

// String returns the names of the groups, joined with "+".
func (g Group) String() string {
	var names []string
	for i, name := range []string{"live", "ready", "startup"} {
		if g&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, "+")
}

// Result is the latest knowledge about one check.
type Result struct {
	State    State
	Err      error         // why it is not Pass; nil for Pass
	Since    time.Time     // when State began
	LastRun  time.Time     // when the last finished run ended; zero before the first
	LastOK   time.Time     // when a run last succeeded; zero before that
	Took     time.Duration // of the last finished run
	Failures int           // failed runs in a row, also below the threshold
	Running  time.Duration // of the run in progress; 0 when there is none

	// Cause names the failing check at the root of this failure, as found
	// through DependsOn. Empty when the check fails on its own account.
	Cause string

	Runs, Failed uint64 // runs since the check was added, and how many failed
}

// Named is a Result with the name and groups of its check.
type Named struct {
	Name   string
	Groups Group
	Fatal  bool // counts against the group when it fails; see NonFatal
	Result
}

// Snapshot is the state of a group at one time.
type Snapshot struct {
	Group    Group
	State    State     // Pass, Warn or Fail
	Time     time.Time // when the snapshot was taken
	Draining string    // reason given to Drain; empty when not draining
	Checks   []Named   // sorted by name
}

// Errors that a Result may hold; match them with errors.Is.
var (
	ErrPending = errors.New("check has not finished yet")
	ErrHung    = errors.New("check is hung")
	ErrStale   = errors.New("check result is too old")
)

// Errors of Registry.Add.
var (
	ErrDuplicate = errors.New("a check of that name is registered")
	ErrClosed    = errors.New("registry is closed")
)

type degraded struct{ error }

func (d degraded) Unwrap() error { return d.error }

// Degraded marks err as a defect that does not make the check fail: its state
// is Warn and handlers answer 200. Degraded(nil) is nil.
func Degraded(err error) error {
	if err == nil {
		return nil
	}
	return degraded{err}
}

func observe(err error) State {
	if err == nil {
		return Pass
	}
	var d degraded
	if errors.As(err, &d) {
		return Warn
	}
	return Fail
}

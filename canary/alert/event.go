package alert

import (
	"encoding/hex"
	"errors"
	"fmt"
	"time"
)

// Where the execution came from.
const (
	// FromInside: a process of the container started the decoy.
	FromInside = "inside"
	// FromOutside: the decoy's parent is outside its pid namespace, as with
	// `docker exec` and `kubectl exec`.
	FromOutside = "outside"
)

// What happened. A decoy that was executed has the empty kind; KindPeers is a
// later word of the same decoy, and the others come from the guard, whose name
// on the wire is Guard.
const (
	KindExec   = "exec"   // a program was executed below the guard
	KindDenied = "denied" // and refused
	KindRead   = "read"   // a watched file was opened, by whom is unknown
	KindPipe   = "pipe"   // a named pipe was read; the reader is the first ancestor
	KindPeers  = "peers"  // the connections of the application, after a decoy was executed in it
	KindForged = "forged" // alarms without a valid key were offered to the guard

	// KindHeartbeat is no alarm: the guard is there. That it stops is one.
	KindHeartbeat = "heartbeat"
)

// Guard is the decoy's name in the guard's own alarms.
const Guard = "guard"

// What became of the latch.
const (
	LatchSet      = "set"      // this execution set it
	LatchAlready  = "already"  // an earlier one had
	LatchDenied   = "denied"   // the kernel refused
	LatchUnproven = "unproven" // not attempted: PID 1 was not shown to be this image's
)

// Event is what a decoy saw. Text from the intruder (Argv, Cwd, EnvNames,
// names of processes) is shortened to fit, and Truncated says so. Values of
// environment variables and contents of files are never collected.
type Event struct {
	Build string `json:"build"` // build id of the image
	Decoy string `json:"decoy"` // name of the decoy
	KeyID string `json:"key"`   // Key.ID of the signing key
	Nonce Nonce  `json:"nonce"` // one per execution and program, the same on every channel
	Kind  string `json:"kind,omitempty"`

	Time      int64  `json:"time"`             // microseconds since 1970, wall clock
	Uptime    int64  `json:"uptime,omitempty"` // microseconds since boot
	BootID    string `json:"boot,omitempty"`   // of the kernel
	InitStart uint64 `json:"init,omitempty"`   // start of PID 1 in clock ticks since boot

	Count  uint64 `json:"n,omitempty"`  // executions since the first, as far as known
	OnTrip string `json:"on,omitempty"` // policy: alert, degrade or fall
	Latch  string `json:"latch,omitempty"`

	Path string   `json:"path,omitempty"` // file executed, links resolved
	Argv []string `json:"argv,omitempty"`
	Cwd  string   `json:"cwd,omitempty"`
	Env  []string `json:"env,omitempty"` // names only

	UID       uint32    `json:"uid"`
	EUID      uint32    `json:"euid"`
	GID       uint32    `json:"gid"`
	PID       int       `json:"pid,omitempty"`
	PPID      int       `json:"ppid"`
	Origin    string    `json:"origin,omitempty"`    // FromInside, FromOutside; Parse concludes it from PPID where it is missing
	Ancestors []Process `json:"ancestors,omitempty"` // parent first

	Peers []Peer `json:"peers,omitempty"` // far ends of inherited sockets
	Guess []Peer `json:"guess,omitempty"` // connections of the application: one may be the intruder's

	Host      string `json:"host,omitempty"`
	Container string `json:"container,omitempty"` // 64 hexadecimal digits
	Pod       string `json:"pod,omitempty"`       // UID of the Kubernetes pod

	Seccomp    int    `json:"seccomp,omitempty"` // as in /proc/self/status
	NoNewPrivs bool   `json:"nnp,omitempty"`
	CapEff     string `json:"caps,omitempty"` // hexadecimal
	Tracer     int    `json:"tracer,omitempty"`

	Truncated bool `json:"truncated,omitempty"`
}

// Process is an ancestor of the decoy, as far as it could be read.
type Process struct {
	PID  int      `json:"pid"`
	Comm string   `json:"comm,omitempty"`
	Exe  string   `json:"exe,omitempty"`
	Argv []string `json:"argv,omitempty"`
}

// Peer is one end of a connection: FD is the decoy's descriptor or -1.
type Peer struct {
	FD     int    `json:"fd"`
	Remote string `json:"remote"`          // address:port or path
	Local  string `json:"local,omitempty"` // address:port
}

// Nonce tells executions apart. It is 128 bits from the kernel.
type Nonce [16]byte

// String returns 32 hexadecimal digits.
func (n Nonce) String() string { return hex.EncodeToString(n[:]) }

// MarshalText returns 32 hexadecimal digits.
func (n Nonce) MarshalText() ([]byte, error) { return []byte(n.String()), nil }

// UnmarshalText reads 32 hexadecimal digits.
func (n *Nonce) UnmarshalText(text []byte) error {
	if len(text) != 2*len(n) {
		return fmt.Errorf("parse nonce: want %d hexadecimal digits, have %d characters", 2*len(n), len(text))
	}
	_, err := hex.Decode(n[:], text)
	return err
}

// At returns Time.
func (e Event) At() time.Time { return time.UnixMicro(e.Time).UTC() }

// pairTime is how long after the first alarm of an execution the second may be
// made: a machine that is short of CPU starts tier B late.
const pairTime = 5 * time.Second

// Completes reports whether e is the second alarm, with the details, of the
// execution that raised first. Where both tiers are planted, A raises the first
// and becomes B in the same process.
func (e Event) Completes(first Event) bool {
	late := e.Time - first.Time
	return e.Build == first.Build && e.Decoy == first.Decoy && e.Kind == "" && first.Kind == "" &&
		e.PID == first.PID && e.PPID == first.PPID && e.UID == first.UID && first.PID != 0 &&
		first.Uptime == 0 && e.Uptime != 0 && late >= 0 && late <= pairTime.Microseconds()
}

// MaxName bounds build ids and decoy names, in bytes.
const MaxName = 64

// CheckName says whether a build id or the name of a decoy has the form
// allowed on the wire: 1 to 64 of a-z, 0-9, ".", "_", "+" and "-", the first
// a letter or digit.
func CheckName(name string) error {
	if name == "" {
		return errors.New("name is empty")
	}
	if len(name) > MaxName {
		return fmt.Errorf("name has %d characters, the limit is %d", len(name), MaxName)
	}
	for i := range len(name) {
		c := name[i]
		plain := c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
		if !plain && (i == 0 || c != '-' && c != '.' && c != '_' && c != '+') {
			return fmt.Errorf("name %q: character %q is not allowed there; use a-z, 0-9 and . _ + - after the first", name, c)
		}
	}
	return nil
}

func (e *Event) check() error {
	if err := CheckName(e.Build); err != nil {
		return fmt.Errorf("build id: %w", err)
	}
	if err := CheckName(e.Decoy); err != nil {
		return fmt.Errorf("decoy: %w", err)
	}
	if e.Nonce == (Nonce{}) {
		return errors.New("nonce is missing")
	}
	return nil
}

package store

import (
	"time"

	"github.com/hardstand/hardstand/canary/alert"
)

// Severity orders alarms.
type Severity int

// Severities. Info is what the collector says about itself and drills.
const (
	Info Severity = iota + 1
	Low
	Medium
	High
	Critical
)

var severities = [...]string{Info: "info", Low: "low", Medium: "medium", High: "high", Critical: "critical"}

// String returns the lower-case name.
func (s Severity) String() string {
	if s < Info || s > Critical {
		return "unknown"
	}
	return severities[s]
}

// ParseSeverity reads a name.
func ParseSeverity(name string) (Severity, bool) {
	for s := Info; s <= Critical; s++ {
		if severities[s] == name {
			return s, true
		}
	}
	return 0, false
}

// Kind says what an alarm is about.
type Kind string

// Kinds.
const (
	KindDecoy    Kind = "decoy"     // a decoy was executed, or the guard saw something
	KindToken    Kind = "token"     // a credential file was used
	KindRule     Kind = "rule"      // a rule of Falco matched
	KindDrill    Kind = "drill"     // somebody tried the way
	KindDead     Kind = "dead"      // heartbeats of an image stopped
	KindSinkDown Kind = "sink-down" // a sink takes nothing
)

// Channel says how an alarm came in.
type Channel string

// Channels. Credential listeners use the kind of their token instead.
const (
	ChannelHTTPS Channel = "https"
	ChannelDNS   Channel = "dns"
	ChannelLog   Channel = "log"
	ChannelFalco Channel = "falco"
	ChannelSelf  Channel = "self" // the collector itself
)

// Proof says what shows that an alarm is genuine.
type Proof string

// Proofs, best first.
const (
	ProofKey    Proof = "key"    // a signature or HMAC that only the holder of a key can make
	ProofSecret Proof = "secret" // the password or bearer token itself
	ProofName   Proof = "name"   // a short HMAC in a DNS name, which resolvers may repeat
	ProofNone   Proof = "none"   // the identity alone, which may be guessed or repeated by others
)

// Timing compares an alarm's own clock with ours.
type Timing string

// Timings.
const (
	OnTime Timing = "on-time"
	Late   Timing = "late"  // older than the window: kept in a spool, or a clock that is wrong
	Ahead  Timing = "ahead" // from the future: a clock that is wrong
)

// Observation is what a listener hands to the collector about the use of a
// credential file. The listener has verified Proof.
type Observation struct {
	Channel Channel // the kind of the token: aws, ssh, …
	Build   string  // of the register
	Token   string  // kind of the token
	TokenID string  // identity as registered
	Proof   Proof
	Source  string    // address:port of the peer
	Time    time.Time // zero: now
	// Nonce tells uses apart; one that was seen before is not counted again.
	// Empty: this use is another one.
	Nonce string
	// Facts are shown to people: user agent, user name, path, database. At
	// most 32 of at most 1024 bytes are kept. Never a secret.
	Facts map[string]string
}

// Alarm is one message.
type Alarm struct {
	ID       int64     `json:"id"`
	Incident int64     `json:"incident,omitempty"` // 0: an ignore rule matched
	Kind     Kind      `json:"kind"`
	Channel  Channel   `json:"channel"`
	Build    string    `json:"build,omitempty"`
	Decoy    string    `json:"decoy"` // name of the decoy or rule, kind of the token
	Nonce    string    `json:"nonce"` // unique with Build
	Proof    Proof     `json:"proof"`
	Timing   Timing    `json:"timing"`
	Severity Severity  `json:"severity"`
	Source   string    `json:"source,omitempty"`
	At       time.Time `json:"at"`       // by the sender's clock
	Received time.Time `json:"received"` // by ours

	// Event is what a decoy saw; nil for other kinds and after the body's
	// retention. It is the intruder's text: escape it.
	Event *alert.Event `json:"event,omitempty"`
	// Facts of alarms that are no decoy's. The intruder's text as well.
	Facts map[string]string `json:"facts,omitempty"`

	IgnoredBy int64 `json:"ignoredBy,omitempty"` // rule
}

// State of an incident.
type State string

// States.
const (
	Open         State = "open"
	Acknowledged State = "acknowledged"
	Resolved     State = "resolved"
)

// Incident is a group of alarms that tell one story.
type Incident struct {
	ID       int64    `json:"id"`
	DedupKey string   `json:"dedupKey"` // stable: sinks recognise repeats by it
	Kind     Kind     `json:"kind"`
	Severity Severity `json:"severity"` // the highest so far
	Title    string   `json:"title"`    // one line, printable
	State    State    `json:"state"`

	Build     string `json:"build,omitempty"`
	Image     string `json:"image,omitempty"`
	Digest    string `json:"digest,omitempty"`
	Owner     string `json:"owner,omitempty"`
	Route     string `json:"route,omitempty"`
	Decoy     string `json:"decoy"`
	Container string `json:"container,omitempty"`
	Pod       string `json:"pod,omitempty"`
	Parent    string `json:"parent,omitempty"` // program of the nearest ancestor
	Origin    string `json:"origin,omitempty"` // alert.FromInside, alert.FromOutside
	Source    string `json:"source,omitempty"` // where it came from, best knowledge
	Proof     Proof  `json:"proof"`            // the best so far

	First    time.Time `json:"first"`
	Last     time.Time `json:"last"`
	Count    int64     `json:"count"`              // trips, Overflow included
	Overflow int64     `json:"overflow,omitempty"` // counted, but not kept one by one

	Assignee       string    `json:"assignee,omitempty"`
	AcknowledgedBy string    `json:"acknowledgedBy,omitempty"`
	AcknowledgedAt time.Time `json:"acknowledgedAt,omitzero"`
	MutedBy        int64     `json:"mutedBy,omitempty"` // mute that keeps it quiet
	Notified       int64     `json:"notified"`          // Count that sinks were last told
	Revision       int64     `json:"revision"`
}

// IncidentQuery selects incidents, newest change first. The zero value selects
// the newest 100 of any state.
type IncidentQuery struct {
	States   []State
	Kinds    []Kind
	Build    string
	Since    time.Time // Last is not before
	Revision int64     // only those changed after it
	Limit    int       // 100 where 0
	Offset   int
}

// Mute keeps incidents quiet for a time: they are stored and shown, but no
// sink is told. Empty fields match everything; at least one must be set.
type Mute struct {
	ID       int64     `json:"id"`
	Build    string    `json:"build,omitempty"`
	Image    string    `json:"image,omitempty"`
	Decoy    string    `json:"decoy,omitempty"`
	DedupKey string    `json:"dedupKey,omitempty"` // of one incident
	From     time.Time `json:"from"`
	Until    time.Time `json:"until"`
	Reason   string    `json:"reason"`
	By       string    `json:"by"`
}

// IgnoreRule drops what is known to be harmless before it becomes an incident:
// the alarm is kept and names the rule. Patterns are path.Match's over the
// whole text; at least one must be set, and all that are set must match.
type IgnoreRule struct {
	ID     int64     `json:"id"`
	Image  string    `json:"image,omitempty"`
	Parent string    `json:"parent,omitempty"` // program of the nearest ancestor
	Argv   string    `json:"argv,omitempty"`   // arguments joined with blanks
	Decoy  string    `json:"decoy,omitempty"`
	Until  time.Time `json:"until,omitzero"` // zero: no end
	Reason string    `json:"reason"`
	By     string    `json:"by"`
	Hits   int64     `json:"hits"`
}

// Canary is a row of the register: one image, or one set of credential files.
type Canary struct {
	Build   string   `json:"build"`
	Image   string   `json:"image,omitempty"`
	Digest  string   `json:"digest,omitempty"`
	Owner   string   `json:"owner,omitempty"`
	Route   string   `json:"route,omitempty"`
	Decoys  []string `json:"decoys,omitempty"`
	Tokens  []string `json:"tokens,omitempty"` // kinds
	Guard   bool     `json:"guard,omitempty"`
	Revoked bool     `json:"revoked,omitempty"`

	LastHeartbeat time.Time `json:"lastHeartbeat,omitzero"`
	LastDrill     time.Time `json:"lastDrill,omitzero"`
	LastAlarm     time.Time `json:"lastAlarm,omitzero"`
}

// Reason says why a sink is told.
type Reason string

// Reasons.
const (
	ReasonFirst     Reason = "first"
	ReasonEscalated Reason = "escalated" // the severity rose
	ReasonRepeat    Reason = "repeat"    // more hits
	ReasonResolved  Reason = "resolved"  // the trouble is over, for dead canaries and sinks
)

// Message is what a sink sends: the incident as it was when it was queued.
type Message struct {
	// ID is stable over all attempts and restarts: DedupKey and a number.
	ID       string   `json:"id"`
	Reason   Reason   `json:"reason"`
	Incident Incident `json:"incident"`
	Alarm    *Alarm   `json:"alarm,omitempty"` // the one that caused it
	// Link to the incident's page; filled in at delivery where the
	// collector knows its own address.
	Link string `json:"link,omitempty"`
}

// Delivery is a row of the outbox.
type Delivery struct {
	ID       int64     `json:"id"`
	Sink     string    `json:"sink"`
	Incident int64     `json:"incident"`
	Message  Message   `json:"message"`
	Queued   time.Time `json:"queued"`
	Attempts int       `json:"attempts"`
	Next     time.Time `json:"next"`
	Done     time.Time `json:"done,omitzero"`
	Error    string    `json:"error,omitempty"` // of the last attempt
}

// SinkState is a sink's health.
type SinkState struct {
	Name        string    `json:"name"`
	Failures    int64     `json:"failures"` // since the last success
	FailedSince time.Time `json:"failedSince,omitzero"`
	LastSuccess time.Time `json:"lastSuccess,omitzero"`
	LastError   string    `json:"lastError,omitempty"`
	Delivered   int64     `json:"delivered"`
	Pending     int64     `json:"pending"`
	OldestDue   time.Time `json:"oldestDue,omitzero"` // queued, of the oldest pending
}

// Role of a subject.
type Role string

// Roles: a responder may change things.
const (
	Viewer    Role = "viewer"
	Responder Role = "responder"
)

// Subject is who does something.
type Subject struct {
	Name string `json:"name"` // e-mail address, or "admin"
	Role Role   `json:"role"`
}

// Session of a signed-in person.
type Session struct {
	ID      string // hash of the cookie
	Subject Subject
	CSRF    string
	Created time.Time
	Expires time.Time
}

// AuditEntry says who did what.
type AuditEntry struct {
	ID     int64     `json:"id"`
	At     time.Time `json:"at"`
	By     string    `json:"by"`
	Action string    `json:"action"` // "acknowledge", "mute", …
	Object string    `json:"object"` // "incident 12"
	Note   string    `json:"note,omitempty"`
}

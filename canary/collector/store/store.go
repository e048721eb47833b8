// Package store holds the nouns of the collector and the contract of the
// place they are kept in. It imports no database; ./database implements Store
// for SQLite and PostgreSQL, and ./storetest is the suite both must pass.
//
// An alarm is one authentic message. Alarms that tell the same story (same
// image, decoy, container and caller) are grouped into an incident. Whatever
// must leave the house is a delivery: written in the same transaction as the
// alarm that caused it, so that neither exists without the other.
package store

import (
	"context"
	"errors"
	"time"
)

var (
	// ErrNotFound: there is no such row.
	ErrNotFound = errors.New("not found")
	// ErrClosed: the store was closed.
	ErrClosed = errors.New("store is closed")
)

// Store keeps everything. All methods may be called at once from several
// goroutines; times are kept to the microsecond and returned in UTC.
type Store interface {
	Ingester
	Incidents
	Rules
	Outbox
	Register
	Sessions

	// Record appends to the audit log.
	Record(context.Context, AuditEntry) error
	// Audit returns the newest entries first.
	Audit(ctx context.Context, limit int) ([]AuditEntry, error)

	// Revision counts the transactions that changed something a dashboard
	// shows. It never goes back, and a change is never visible before it.
	Revision(context.Context) (int64, error)
	// Subscribe wakes the reader after changes, those of other collectors
	// included; several wakes may become one. cancel ends it.
	Subscribe() (wake <-chan struct{}, cancel func())

	// Retain deletes what is older than the policy says.
	Retain(context.Context, Retention, time.Time) (Removed, error)
	// Stats are figures for metrics.
	Stats(context.Context) (Stats, error)
	// Ping fails while the store cannot write.
	Ping(context.Context) error
	Close() error
}

// Ingester takes alarms in.
type Ingester interface {
	// Commit stores arrivals in one transaction that is on disk when it
	// returns. Outcomes are in the order of the arrivals. After an error
	// nothing of the batch is stored.
	Commit(context.Context, []Arrival, Policy) ([]Outcome, error)
	// Notify queues the repeats that became due: incidents with hits that no
	// sink was told of for as long as Policy.RepeatAfter.
	Notify(context.Context, Policy, time.Time) (queued int, err error)
}

// Incidents are what people work with.
type Incidents interface {
	ListIncidents(context.Context, IncidentQuery) ([]Incident, error)
	// GetIncident returns ErrNotFound.
	GetIncident(ctx context.Context, id int64) (Incident, error)
	// Alarms of an incident, newest first. limit 0 means 100.
	Alarms(ctx context.Context, incident int64, limit int) ([]Alarm, error)
	// Acknowledge, Assign and Resolve change an incident, write to the audit
	// log and return the new state. An incident that is resolved gets no more
	// hits: the next one opens another.
	Acknowledge(ctx context.Context, id int64, by Subject, note string) (Incident, error)
	Assign(ctx context.Context, id int64, to string, by Subject) (Incident, error)
	Resolve(ctx context.Context, id int64, by Subject, note string) (Incident, error)
}

// Rules keep noise down. Each change is in the audit log.
type Rules interface {
	// Mutes returns those that have not ended before the given time, or all
	// for the zero time.
	Mutes(ctx context.Context, after time.Time) ([]Mute, error)
	// AddMute needs an end and a reason; it fills in ID and returns it.
	AddMute(context.Context, Mute, Subject) (Mute, error)
	// EndMute ends it now.
	EndMute(ctx context.Context, id int64, by Subject) error
	IgnoreRules(context.Context) ([]IgnoreRule, error)
	AddIgnoreRule(context.Context, IgnoreRule, Subject) (IgnoreRule, error)
	RemoveIgnoreRule(ctx context.Context, id int64, by Subject) error
}

// Outbox is what must leave.
type Outbox interface {
	// Claim leases up to n due deliveries of a sink, oldest first. One that
	// is neither completed nor failed before the lease ends is due again.
	Claim(ctx context.Context, sink string, n int, lease time.Duration, now time.Time) ([]Delivery, error)
	// Complete says that the sink has taken it.
	Complete(ctx context.Context, id int64, now time.Time) error
	// Fail keeps it for another attempt at next.
	Fail(ctx context.Context, id int64, cause string, next, now time.Time) error
	// Release ends a lease that was not used: it is due at next.
	Release(ctx context.Context, id int64, next time.Time) error
	// Sinks returns a state for each name that ever had a delivery or was
	// announced with SetSinks.
	Sinks(ctx context.Context, now time.Time) ([]SinkState, error)
	// SetSinks announces the configured sinks.
	SetSinks(context.Context, []string) error
	// Deliveries of an incident, newest first.
	Deliveries(ctx context.Context, incident int64) ([]Delivery, error)
	// Drill returns the deliveries that the drill with this nonce caused.
	Drill(ctx context.Context, build, nonce string) ([]Delivery, error)
}

// Register knows what was planted where.
type Register interface {
	// ImportCanaries adds and updates rows; last heartbeat and drill stay.
	ImportCanaries(context.Context, []Canary) error
	Canaries(context.Context) ([]Canary, error)
	// ForgetCanaries removes rows of builds that are no longer registered,
	// and their last heartbeat, whose silence then is no alarm. What is
	// revoked stays revoked.
	ForgetCanaries(ctx context.Context, builds []string) error
	// Revoke makes the collector refuse the alarms of a build, because its
	// keys are known to have leaked.
	Revoke(ctx context.Context, build string, revoked bool, by Subject) error
	// Heartbeat notes signs of life: build to the newest time.
	Heartbeat(context.Context, map[string]time.Time) error
}

// Sessions of people who are signed in, so that collectors behind a load
// balancer share them. ID is a hash of the cookie, never the cookie.
type Sessions interface {
	PutSession(context.Context, Session) error
	// GetSession returns ErrNotFound for one that is unknown or over.
	GetSession(ctx context.Context, id string, now time.Time) (Session, error)
	DeleteSession(ctx context.Context, id string) error
}

package store

import "time"

// Arrival is an authentic alarm on its way in.
type Arrival struct {
	Alarm Alarm // without ID and Incident
	// Overflow: the image sends more than its share. The incident counts it,
	// the alarm itself is not kept.
	Overflow bool
	// Resolve ends the open incident with this alarm's group instead of
	// adding to it: the sink is up, the canary alive.
	Resolve bool
}

// Outcome of one arrival.
type Outcome struct {
	Alarm     int64 // 0: not kept
	Incident  int64
	Duplicate bool // Build and Nonce were known: nothing changed
	New       bool // it opened the incident
	Revoked   bool // refused: the build's keys are known to have leaked
}

// Policy says how arrivals become incidents and messages.
type Policy struct {
	Now time.Time
	// Sinks that are told, with what each wants.
	Sinks []SinkFilter
	// Regroup: a hit joins an incident whose last one is at most so long ago.
	Regroup time.Duration
	// Thresholds are the counts at which sinks are told again at once.
	Thresholds []int64
	// RepeatAfter is how long hits may wait until sinks are told of them.
	RepeatAfter time.Duration
}

// SinkFilter says what a sink wants.
type SinkFilter struct {
	Name  string
	Min   Severity // 0: everything
	Route string   // only incidents of this route; empty: all
}

// Wants says whether the sink is to be told of an incident. Drills go to all.
func (f SinkFilter) Wants(i Incident) bool {
	if i.Kind == KindDrill {
		return true
	}
	return i.Severity >= f.Min && (f.Route == "" || f.Route == i.Route)
}

// Retention says how long things are kept.
type Retention struct {
	Alarms time.Duration // alarms, incidents that are over, deliveries, audit; 90 days where 0
	Bodies time.Duration // what a decoy saw, beyond the columns; 7 days where 0
}

// Removed says how much Retain deleted.
type Removed struct{ Alarms, Bodies, Incidents, Deliveries, Sessions int64 }

// Stats are figures for metrics.
type Stats struct {
	Incidents, OpenIncidents, Pending int64
	OldestPending                     time.Time
}
